"""Bodies of parts, whatever pieces they come in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dicomweb.multipart import InvalidBody, Part, PartReader, write_parts


def _read(body: bytes, cuts: list[int], *, largest: int = 1 << 20) -> list[Part]:
    reader = PartReader("b0undary", largest)
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    parts = [part for start, end in pairwise(places) if end > start for part in reader.feed(body[start:end])]
    reader.finish()
    return parts


@given(
    values=st.lists(st.binary(max_size=300) | st.just(b"\r\n--b0undar\r\n--b0undary"[:-1]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 5000), max_size=12),
)
def test_what_was_written_comes_back(values: list[bytes], cuts: list[int]) -> None:
    body = b"".join(write_parts("b0undary", (("application/dicom", [value]) for value in values)))
    if any(b"\r\n--b0undary" in b"\r\n" + value for value in values):
        return
    parts = _read(body, cuts)
    assert [bytes(part.data) for part in parts] == values
    assert {part.headers["content-type"] for part in parts} == {"application/dicom"}


@pytest.mark.parametrize("body", [b"", b"nothing of the kind", b"--b0undary\r\nContent-Type: a\r\n\r\nhalf"])
def test_a_body_that_is_none_or_not_whole_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBody):
        _read(body, [])


def test_a_part_too_large_is_refused_before_it_is_whole() -> None:
    body = b"".join(write_parts("b0undary", [("application/dicom", [bytes(2000)])]))
    with pytest.raises(InvalidBody, match="larger than"):
        _read(body[:1500], [500, 1000], largest=1000)
