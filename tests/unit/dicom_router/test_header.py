"""Reading headers: exact about identity, tolerant about everything else."""

import math
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from support.instances import ROOT, ct, encoded

from dicom_router.errors import Unreadable
from dicom_router.header import Header, read_header
from dicom_router.values import decode_private, decode_text, decode_value


def _read(dataset: Dataset) -> Header:
    return read_header(encoded(dataset), ExplicitVRLittleEndian)


def test_identity_patient_series_and_geometry() -> None:
    header = _read(ct(3, GantryDetectorTilt="-12.5", ContrastBolusAgent=""))
    assert header.sop_instance_uid == f"{ROOT}.1.1.4"
    assert header.study_uid == f"{ROOT}.1"
    assert header.study["patient_name"] == "Test^Müller"
    assert header.study["accession_number"] == "A1"
    assert (header.modality, header.description, header.series_number) == ("CT", "Head 5.0 H31s", 1)
    assert header.series_attributes["GantryDetectorTilt"] == -12.5
    assert "ContrastBolusAgent" not in header.series_attributes
    assert header.instance_attributes["ImagePositionPatient"] == [-120.0, -120.0, 15.0]
    assert header.instance_attributes["InstanceNumber"] == 4
    assert header.instance_attributes["Rows"] == 16


def test_attributes_of_an_instance_hold_no_patient_data() -> None:
    header = _read(ct())
    text = f"{header.series_attributes} {header.instance_attributes}"
    assert "Müller" not in text
    assert "T1" not in text


@pytest.mark.parametrize(
    ("syntax", "implicit", "little_endian"),
    [
        (ImplicitVRLittleEndian, True, True),
        (ExplicitVRLittleEndian, False, True),
        (ExplicitVRBigEndian, False, False),
        (JPEG2000, False, True),
    ],
)
def test_one_header_in_every_encoding(syntax: str, *, implicit: bool, little_endian: bool) -> None:
    dataset = ct(DiffusionBValue=1000.0)
    header = read_header(encoded(dataset, implicit=implicit, little_endian=little_endian), syntax)
    assert header == _read(dataset)
    assert header.instance_attributes["DiffusionBValue"] == 1000.0


def test_a_deflated_data_set() -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(encoded(ct())) + deflater.flush()
    assert read_header(data, DeflatedExplicitVRLittleEndian) == _read(ct())
    with pytest.raises(Unreadable, match="inflated"):
        read_header(b"\xff" * 40, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_a_missing_uid_is_named(keyword: str) -> None:
    with pytest.raises(Unreadable, match=f"no {keyword}"):
        _read(ct(**{keyword: None}))


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom on what is written here on purpose
@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.3; DROP TABLE study", "1." * 33])
def test_what_is_no_uid_is_refused_without_repeating_it(uid: str) -> None:
    with pytest.raises(Unreadable, match="StudyInstanceUID is not a UID") as caught:
        _read(ct(StudyInstanceUID=uid))
    assert uid not in str(caught.value)


@pytest.mark.parametrize("kept", [1, 7, 60, 300, -1, -100])
def test_a_cut_off_data_set_is_unreadable(kept: int) -> None:
    with pytest.raises(Unreadable):
        read_header(encoded(ct())[:kept], ExplicitVRLittleEndian)


def test_an_unknown_transfer_syntax() -> None:
    with pytest.raises(Unreadable, match="not known"):
        read_header(encoded(ct()), "1.2.3.4")


@given(st.binary(max_size=2000))
def test_garbage_is_unreadable_and_nothing_else(data: bytes) -> None:
    for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        with pytest.raises(Unreadable):
            read_header(data, syntax)


@given(st.data())
def test_flipped_bytes_are_read_or_unreadable(data: st.DataObject) -> None:
    raw = bytearray(encoded(ct(size=2)))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = read_header(bytes(raw), ExplicitVRLittleEndian)
    except Unreadable:
        return
    assert "\x00" not in "".join(filter(None, header.study.values()))


@pytest.mark.parametrize(
    ("charsets", "raw", "text"),
    [
        (("ISO_IR 100",), "Müller^Jörg".encode("latin-1"), "Müller^Jörg"),
        (("ISO_IR 192",), "Šimánek^Иван".encode(), "Šimánek^Иван"),
        (("ISO_IR 144",), "Иванов".encode("iso8859-5"), "Иванов"),
        (("GB18030",), "王^小东".encode("gb18030"), "王^小东"),
        (("", "ISO 2022 IR 87"), b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        (("", "ISO 2022 IR 149"), b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
        ((), "Müller".encode(), "Müller"),
        ((), "Müller".encode("latin-1"), "Müller"),
        (("NO SUCH SET",), "Müller".encode(), "Müller"),
        (("ISO_IR 192",), b"M\xfcller\x00 ", "Müller"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_text_in_many_character_sets(charsets: tuple[str, ...], raw: bytes, text: str) -> None:
    assert decode_text(raw, charsets) == text


@given(st.binary(max_size=200), st.lists(st.sampled_from(["", "ISO_IR 192", "ISO 2022 IR 87", "nonsense"]), max_size=3))
def test_no_text_is_ever_lost_to_its_character_set(raw: bytes, charsets: list[str]) -> None:
    text = decode_text(raw, tuple(charsets))
    assert "\x00" not in text
    text.encode("utf-8")


@given(st.sampled_from(["DS", "IS", "US", "FD", "CS", "LO", "UI"]), st.binary(max_size=64))
def test_values_are_plain_numbers_and_text(representation: str, raw: bytes) -> None:
    value = decode_value(representation, raw, ())
    for part in value if isinstance(value, list) else [value]:
        assert part is None or isinstance(part, str | int | float)
        assert not isinstance(part, float) or math.isfinite(part)


def test_b_values_of_vendors() -> None:
    dataset = ct()
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    assert _read(dataset).instance_attributes["DiffusionBValue"] == 1000
    assert decode_private(b"1000000800\\8\\0\\0", ge=True) == 800
    assert decode_private(struct.pack("<f", 1000.0), ge=False) == 1000
    assert decode_private(b"", ge=False) is None


def test_a_contrast_agent_may_be_a_code() -> None:
    agent = Dataset()
    agent.CodeValue, agent.CodingSchemeDesignator, agent.CodeMeaning = "C-B03DE", "SRT", "Gadobutrol"
    coded = _read(ct(ContrastBolusAgentSequence=Sequence([agent])))
    assert coded.series_attributes["ContrastBolusAgent"] == "Gadobutrol"
    named = _read(ct(ContrastBolusAgent="Dotarem", ContrastBolusAgentSequence=Sequence([agent])))
    assert named.series_attributes["ContrastBolusAgent"] == "Dotarem"
    assert "ContrastBolusAgent" not in _read(ct(ContrastBolusAgentSequence=Sequence([]))).series_attributes


def test_an_enhanced_multi_frame_object_gives_its_shared_values() -> None:
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.SliceThickness, measures.PixelSpacing = "3", ["0.5", "0.5"]
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([orientation])
    values: dict[str, Any] = {"ImageOrientationPatient": None, "ImagePositionPatient": None, "SliceThickness": None}
    dataset = ct(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=30,
        SharedFunctionalGroupsSequence=Sequence([shared]), **values,
    )  # fmt: skip
    header = _read(dataset)
    assert header.series_attributes["SliceThickness"] == 3
    assert header.series_attributes["ImageOrientationPatient"] == [1, 0, 0, 0, 1, 0]
    assert header.instance_attributes["NumberOfFrames"] == 30


@pytest.mark.parametrize("implicit", [False, True])
def test_what_frames_say_one_by_one_is_taken_from_the_first_but_for_its_diffusion(implicit: bool) -> None:
    frames = []
    for number in range(3):
        frame = Dataset()
        frame.PixelMeasuresSequence, frame.PlaneOrientationSequence = [Dataset()], [Dataset()]
        frame.MRDiffusionSequence = [Dataset()]
        frame.PixelMeasuresSequence[0].SliceThickness = str(3 + number)
        frame.PlaneOrientationSequence[0].ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        frame.MRDiffusionSequence[0].DiffusionBValue = 500.0 * number
        frames.append(frame)
    values: dict[str, Any] = {"ImageOrientationPatient": None, "ImagePositionPatient": None, "SliceThickness": None}
    dataset = ct(NumberOfFrames=3, PerFrameFunctionalGroupsSequence=frames, **values)
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    found = read_header(encoded(dataset, implicit=implicit), syntax).series_attributes
    assert found["SliceThickness"] == 3
    assert found["ImageOrientationPatient"] == [1, 0, 0, 0, 1, 0]
    assert "DiffusionBValue" not in found
