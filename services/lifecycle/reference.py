"""What a version's images and answers are held against: recorded at promotion, or for what serves now."""

from dataclasses import dataclass

from models.card import Card
from services.ledger import drift as ledger
from services.ledger.database import Connection
from services.lifecycle.drift import FEWEST, Drift, Spread, drifts, spreads


@dataclass(frozen=True)
class Watched:
    """A model beside its reference.

    Attributes:
        reference: None: none is recorded for these weights.
        studies: answered since, of the newest; drifts: empty while these are fewer than FEWEST.
    """

    model: str
    version: str
    reference: ledger.Reference | None
    studies: int
    drifts: tuple[Drift, ...]


def record(connection: Connection, card: Card, *, account: str, unseen: bool = False) -> int:
    """Have later studies of a version be held against those it has answered.

    Args:
        unseen: those that it answered as a shadow as well.

    Returns:
        How many there are; fewer than FEWEST are not recorded.
    """
    digest = card.weights.sha256
    found = ledger.answered(connection, card.name, digest, most=ledger.MOST)
    if unseen:
        found += ledger.answered_unseen(connection, card.name, digest)
    if len(found) >= FEWEST:
        written = {name: spread.model_dump(mode="json") for name, spread in spreads(found).items()}
        ledger.save_reference(
            connection, card.name, card.version, digest, studies=len(found), spreads=written, account=account
        )
    return len(found)


def watch(connection: Connection, model: str, version: str, weights_digest: str) -> Watched:
    """The newest studies since a version's reference was recorded, held against it."""
    reference = ledger.reference_of(connection, model, weights_digest)
    if reference is None:
        return Watched(model, version, None, 0, ())
    recent = ledger.answered(connection, model, weights_digest, after=reference.at)
    before = {name: Spread.model_validate(spread) for name, spread in reference.spreads.items()}
    return Watched(model, version, reference, len(recent), tuple(drifts(before, recent)))
