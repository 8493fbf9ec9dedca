"""Arrays as bytes for the store: what a stage hands to the next one."""

import zipfile
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack_array(array: NDArray[Any]) -> bytes:
    """Compress an array; shape and type come back with `unpack_array`. The same array gives the same bytes."""
    buffer = BytesIO()
    np.savez_compressed(buffer, array=array)
    return buffer.getvalue()


def unpack_array(data: bytes) -> NDArray[Any]:
    """The array that `pack_array` compressed.

    Raises:
        ValueError: these bytes are no packed array.
    """
    try:
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            array: NDArray[Any] = archive["array"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError("these bytes are not a packed array") from error
    return array
