"""Read a series from the store as the models see it."""

from io import BytesIO

import pydicom

from models.dicom import read_series
from models.errors import ModelError
from models.volume import Volume
from services.context import Context
from services.errors import Reject, Retry
from services.ledger import analyses


def load_volume(context: Context, series_uid: str) -> Volume:
    """A series' usable instances as a volume.

    Raises:
        Retry: bytes are not in the store.
        Reject: no model can read it.
    """
    with context.pool.connection() as connection:
        keys = analyses.instance_keys(connection, series_uid)
    try:
        return read_series([pydicom.dcmread(BytesIO(context.store.get(key))) for key in keys])
    except KeyError as error:
        raise Retry("The bytes of an instance are not in the store.") from error
    except ModelError as error:
        raise Reject(str(error)) from error
