"""What clients accept, as they say it."""

import pytest

from services.dicomweb.media import accepts_json, frame_form, instance_syntaxes, parse_accept

EXPLICIT, IMPLICIT, JPEG2000, RLE = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
)


@pytest.mark.parametrize(
    ("header", "syntaxes"),
    [
        ("", [EXPLICIT]),
        ("*/*", [EXPLICIT]),
        ('multipart/related; type="application/dicom"', [EXPLICIT]),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', ["*"]),
        (
            f'multipart/related; type="application/dicom"; transfer-syntax={JPEG2000}; q=0.5, '
            f"multipart/related; type=application/dicom; transfer-syntax={RLE}",
            [RLE, JPEG2000],
        ),
        ("application/dicom; transfer-syntax=*", ["*"]),
        ('multipart/related; type="application/dicom"; q=0', []),
        ("text/html, image/png", []),
        ("application/dicom+json", []),
        (";;;, ,", []),
    ],
)
def test_instances_come_in_what_is_accepted(header: str, syntaxes: list[str]) -> None:
    assert instance_syntaxes(parse_accept(header)) == syntaxes


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", True),
        ("application/dicom+json", True),
        ("application/json;q=0.1, text/html", True),
        ("*/*", True),
        ("application/dicom+xml", False),
        ("application/dicom+json;q=0", False),
    ],
)
def test_json_is_given_to_who_takes_it(header: str, accepted: bool) -> None:
    assert accepts_json(parse_accept(header)) is accepted


OCTETS, ANYHOW = "application/octet-stream", "multipart/related; type=application/octet-stream; transfer-syntax=*"
PLAIN = f"{OCTETS}; transfer-syntax={EXPLICIT}"


@pytest.mark.parametrize(
    ("header", "stored", "content_type"),
    [
        ("", JPEG2000, PLAIN),
        (f'multipart/related; type="{OCTETS}"', EXPLICIT, PLAIN),
        (ANYHOW, IMPLICIT, PLAIN),
        (ANYHOW, RLE, f"{OCTETS}; transfer-syntax={RLE}"),
        ('multipart/related; type="image/jp2"', JPEG2000, f"image/jp2; transfer-syntax={JPEG2000}"),
        (f'multipart/related; type="image/jp2"; transfer-syntax={RLE}', JPEG2000, None),
        (f'multipart/related; type="image/jp2", multipart/related; type="{OCTETS}"; q=0.3', EXPLICIT, PLAIN),
        ('multipart/related; type="image/jls"', JPEG2000, None),
        ("image/png", EXPLICIT, None),
    ],
)
def test_frames_come_as_kept_only_where_that_is_accepted(header: str, stored: str, content_type: str | None) -> None:
    form = frame_form(parse_accept(header), stored)
    assert (form.content_type if form is not None else None) == content_type
    assert form is None or form.decoded == (EXPLICIT in form.content_type)
