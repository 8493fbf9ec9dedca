"""Why an instance is not accepted, and the one map from exception to DIMSE status (PS3.4 B.2.3, PS3.7 C)."""

import psycopg
import psycopg_pool

from services.errors import Reject, Retry

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
"""Refused: the sender keeps the instance and tries later."""


class Unreadable(Reject):
    """The data set cannot be parsed, or lacks what identifies it."""


class Mismatch(Reject):
    """The data set is not the one its request announced."""


class ConflictRefused(Reject):
    """Other bytes are already kept under this SOP Instance UID, and the site refuses such instances."""


class LowDisk(Retry):
    """Less room is left than the low-disk mark."""


# The first class an exception is an instance of decides.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (Mismatch, 0xA900),  # Error: Data Set does not match SOP Class
    (Unreadable, 0xC000),  # Error: Cannot understand
    (ConflictRefused, 0xC001),  # Cannot understand, with a code of our own: C-STORE has none for a taken UID
    (Reject, 0xC000),
    (Retry, OUT_OF_RESOURCES),
    (psycopg.OperationalError, OUT_OF_RESOURCES),  # the ledger is away
    (psycopg_pool.PoolTimeout, OUT_OF_RESOURCES),
    (
        psycopg.errors.UniqueViolation,
        OUT_OF_RESOURCES,
    ),  # the same UID came by two associations in two studies at one moment
    (OSError, OUT_OF_RESOURCES),
)
PROCESSING_FAILURE = 0x0110
INVALID_ARGUMENT = 0x0115


def status_of(error: Exception) -> int:
    """The DIMSE status that answers a C-STORE ended by `error`."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), PROCESSING_FAILURE)
