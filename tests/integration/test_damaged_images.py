"""Compressed images that end the process which decodes them: it is never ours."""

import subprocess
import sys
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from support.heads import head_instances, small_head
from support.instances import write

from models import decoding
from models.decoding import CannotDecode, decode, decode_frames, decompress
from models.dicom import read_series
from models.errors import InvalidVolume


@pytest.fixture(scope="module")
def native() -> Dataset:
    return head_instances(small_head(("IPH", 60.0)))[10]


@pytest.fixture
def lossless(native: Dataset, tmp_path: Path) -> Dataset:
    """JPEG Lossless, by DCMTK."""
    source, target = write(native, tmp_path / "native.dcm"), tmp_path / "lossless.dcm"
    subprocess.run(["/usr/bin/dcmcjpeg", "+e1", source, target], check=True, timeout=60)
    return pydicom.dcmread(target)


def damaged(instance: Dataset, place: int, value: int) -> Dataset:
    """The instance with another byte in its frame."""
    frame = bytearray(next(generate_frames(instance.PixelData, number_of_frames=1)))
    frame[place] = value
    instance.PixelData = encapsulate([bytes(frame)])
    instance["PixelData"].is_undefined_length = True
    return instance


KILLS = [(2, 212), (24, 18)]
"""Places and values with which GDCM aborts and reads memory that is not its own."""


@pytest.mark.parametrize(("place", "value"), KILLS)
def test_such_an_image_ends_the_process_that_decodes_it(
    lossless: Dataset, place: int, value: int, tmp_path: Path
) -> None:
    """If it no longer does, this module tests nothing: find other bytes."""
    file = tmp_path / "damaged.dcm"
    damaged(lossless, place, value).save_as(file)
    code = "import pydicom, sys; pydicom.dcmread(sys.argv[1]).pixel_array"
    ended = subprocess.run([sys.executable, "-c", code, file], check=False, stderr=subprocess.DEVNULL, timeout=120)
    assert ended.returncode < 0


@pytest.mark.parametrize(("place", "value"), KILLS)
def test_ours_lives_and_names_what_is_wrong(
    native: Dataset, lossless: Dataset, place: int, value: int, tmp_path: Path
) -> None:
    whole, file = deepcopy(lossless), tmp_path / "damaged.dcm"
    broken = damaged(lossless, place, value)
    broken.save_as(file)
    with pytest.raises(InvalidVolume, match="cannot be decoded"):
        read_series([broken])
    with pytest.raises(CannotDecode):
        decompress(broken)
    with pytest.raises(CannotDecode):
        decode_frames(file.read_bytes(), [1])
    np.testing.assert_array_equal(decode(whole), native.pixel_array)


def test_the_process_stays_for_the_next_image_and_sees_nothing_of_the_patient(
    native: Dataset, lossless: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    ask = decoding._ask
    monkeypatch.setattr(decoding, "_ask", lambda order, file: asked.append(file) or ask(order, file))
    decode(lossless)
    first = [process.pid for process in decoding._waiting]
    np.testing.assert_array_equal(decode(lossless), native.pixel_array)
    assert [process.pid for process in decoding._waiting] == first
    for file in asked:
        assert {element.tag.group for element in pydicom.dcmread(BytesIO(file), force=True)} <= {0x0028, 0x7FE0}


def test_a_process_that_somebody_ended_costs_no_image(native: Dataset, lossless: Dataset) -> None:
    decode(lossless)
    for process in decoding._waiting:
        process.kill()
        process.wait()
    np.testing.assert_array_equal(decode(lossless), native.pixel_array)


def test_a_decompressed_instance_is_the_same_but_for_its_encoding(native: Dataset, lossless: Dataset) -> None:
    decompress(lossless)
    assert lossless.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert lossless.SOPInstanceUID == native.SOPInstanceUID
    np.testing.assert_array_equal(lossless.pixel_array, native.pixel_array)


def test_an_image_that_takes_too_long_ends_with_its_process(lossless: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PATIENCE_S", 0.0)
    for process in decoding._waiting:
        decoding._end(process)
    decoding._waiting.clear()
    with pytest.raises(CannotDecode):
        decode(lossless)
    assert not decoding._waiting


def test_it_ends_with_its_parent() -> None:
    code = "from models import decoding; process = decoding._start(); print(process.pid)"
    pid = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    for _ in range(100):
        if not Path(f"/proc/{int(pid)}").exists() or "Z (" in Path(f"/proc/{int(pid)}/status").read_text():
            return
        subprocess.run(["/bin/sleep", "0.2"], check=True)
    pytest.fail("The process that decodes outlived its parent.")
