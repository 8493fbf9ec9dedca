"""Cards of the models that answered, as far as they are still installed."""

from models.card import Card
from models.errors import InvalidCard
from models.registry import load_card


def find_card(model: str) -> Card | None:
    """The card of a model in whatever version is installed."""
    try:
        return load_card(model)
    except InvalidCard:
        return None


def card_of_version(model: str, version: str) -> Card | None:
    """The card of exactly this version; a past version's limits are not today's."""
    card = find_card(model)
    return card if card is not None and card.version == version else None
