"""The byte store that the settings name."""

from services.errors import SettingsError, StoreRefuses
from services.settings import Settings
from services.storage.local import LocalStore
from services.storage.store import Store

SETTING = "storage.s3"


def open_store(settings: Settings) -> Store:
    """A directory, or a bucket once it was written to.

    Raises:
        SettingsError: it cannot be used as it is set.
        StoreAway: the object store does not answer now.
    """
    s3 = settings.storage.s3
    if s3 is None:
        return LocalStore(settings.store_path)
    from services.storage.bucket import Bucket
    from services.storage.s3 import S3Store

    try:
        bucket = Bucket(s3, s3.bucket, SETTING)
        bucket.check(s3.prefix, write=True)
    except StoreRefuses as error:
        raise SettingsError(str(error)) from None
    return S3Store(bucket, s3.prefix)
