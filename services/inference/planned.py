"""Which versions answer in shadow, as `nightjar model shadow` left them; replicas read this too, without a ledger."""

from dataclasses import dataclass

from models.card import Card
from models.errors import InvalidCard
from models.registry import load_card
from models.shelf import Shelf
from services.errors import SettingsError
from services.ledger.served_models import Canary, drawn
from services.settings import InferenceSettings


@dataclass(frozen=True)
class Plan:
    """Which version answers beside a model, which share of the studies it sees, and for which share it is shown."""

    card: Card
    share: float
    canary: float = 0.0

    @property
    def application(self) -> str:
        """Under which name it is served."""
        return application_of(self.card.name)

    def sees(self, study_uid: str) -> bool:
        """Whether a study is among those the shadow sees: always the same ones."""
        return drawn(self.card.weights.sha256, study_uid) < max(self.share, self.canary)

    @property
    def shown(self) -> Canary | None:
        """As routing is told of it; None: nobody sees its answers."""
        return Canary(self.card.version, self.card.weights.sha256, self.canary) if self.canary else None


def application_of(model: str) -> str:
    return f"{model}-shadow"


def plans(settings: InferenceSettings) -> dict[str, Plan]:
    """The shadows by model, as `nightjar model shadow` left them.

    Raises:
        SettingsError: a version that is to answer is not there.
    """
    if settings.models_dir is None:
        return {}
    shelf = Shelf(settings.models_dir)
    found = {}
    for model in settings.models:
        try:
            standing = shelf.standing(model)
            if standing.shadow is not None:
                found[model] = Plan(load_card(model, standing.shadow), standing.share, standing.canary)
        except InvalidCard as error:
            raise SettingsError(f"inference.models_dir: {error}") from error
    return found
