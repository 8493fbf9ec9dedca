import psycopg
import psycopg_pool
import pytest

from dicom_router.errors import ConflictRefused, LowDisk, Mismatch, Unreadable, status_of
from services.errors import Reject, Retry


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Mismatch("x"), 0xA900),
        (Unreadable("x"), 0xC000),
        (ConflictRefused("x"), 0xC001),
        (Reject("x"), 0xC000),
        (LowDisk("x"), 0xA700),
        (Retry("x"), 0xA700),
        (OSError(28, "No space left on device"), 0xA700),
        (psycopg.OperationalError("x"), 0xA700),
        (psycopg_pool.PoolTimeout("x"), 0xA700),
        (psycopg.errors.UniqueViolation("x"), 0xA700),
        (ValueError("x"), 0x0110),
    ],
)
def test_one_status_an_exception(error: Exception, status: int) -> None:
    assert status_of(error) == status
