import numpy as np
import pytest

from services.ledger.arrays import pack_array, unpack_array


def test_array_comes_back_and_packs_to_the_same_bytes() -> None:
    array = (np.arange(4 * 5 * 6) % 6).astype(np.uint8).reshape(4, 5, 6)

    packed = pack_array(array)

    assert packed == pack_array(array.copy())
    back = unpack_array(packed)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("data", [b"", b"not an archive", pack_array(np.zeros(3))[:40]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="packed array"):
        unpack_array(data)
