"""What every stage is given: settings, the ledger's pool, the byte store and the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.ledger.database import Pool
from services.settings import Settings
from services.storage import Store


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Context:
    """Dependencies of a stage; tests hand in their own."""

    settings: Settings
    pool: Pool
    store: Store
    now: Callable[[], datetime] = system_clock
