"""Images from DICOM: sorted, in units, in place, or refused with a sentence that says nothing of the patient."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from support.ct import as_bytes, multi_frame, tilted_ct
from support.instances import ct

from models.dicom import read_folder, read_series
from models.errors import InvalidVolume

META = tilted_ct(shape=(1, 4, 4))[0].file_meta


def test_slices_are_sorted_along_the_normal_whatever_order_they_come_in() -> None:
    datasets = tilted_ct()
    volume = read_series(datasets[::-1])
    assert volume.sources == tuple(d.SOPInstanceUID for d in datasets)
    assert np.allclose(volume.positions_mm, [[float(v) for v in d.ImagePositionPatient] for d in datasets])
    assert np.array_equal(volume.voxels[3], np.maximum(datasets[3].pixel_array, -1024))
    assert volume.spacing_mm == (3.2, 3.1)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(10)), flipped=st.booleans(), turn=st.floats(-20, 20))
def test_any_order_is_the_same_volume(order: list[int], flipped: bool, turn: float) -> None:
    datasets = tilted_ct(shape=(10, 4, 4), flipped=flipped, turn_deg=turn)
    volume, shuffled = read_series(datasets), read_series([datasets[k] for k in order])
    assert volume.sources == shuffled.sources
    assert (np.diff(volume.offsets_mm) > 0).all()


def test_values_are_rescaled_and_padding_is_air() -> None:
    pixels = np.full((16, 16), 1000, np.int16)
    pixels[0, 0] = -2000
    dataset = ct(RescaleSlope="2", RescaleIntercept="-1000", PixelPaddingValue=-2000, PixelData=pixels.tobytes())
    dataset.file_meta = META
    voxels = read_series([dataset]).voxels
    assert voxels[0, 1, 1] == 1000
    assert voxels[0, 0, 0] == -1024


def test_padding_written_with_the_other_signedness_and_a_range_is_air() -> None:
    pixels = np.full((16, 16), 40, np.int16)
    pixels[0, :2] = -2000, -1990
    dataset = ct(RescaleSlope="1", RescaleIntercept="900", PixelData=pixels.tobytes())
    dataset.file_meta = META
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    dataset.add_new("PixelPaddingRangeLimit", "SS", -1990)
    assert read_series([dataset]).voxels[0, 0, :3].tolist() == [-1024, -1024, 940]


def test_compressed_pixels_are_decoded() -> None:
    datasets = tilted_ct(shape=(3, 8, 8))
    expected = read_series(datasets).voxels
    for dataset in datasets:
        dataset.compress(RLELossless, generate_instance_uid=False)
    assert np.array_equal(read_series(datasets).voxels, expected)


def _enhanced(frames: int = 4) -> Dataset:
    pixels = np.arange(frames * 256, dtype=np.int16).reshape(frames, 256)
    return multi_frame(
        [
            ct(k, ImagePositionPatient=[0, 0, -5.0 * k], RescaleIntercept=-100, PixelData=pixels[k].tobytes())
            for k in range(frames)
        ]
    )


def test_frames_of_an_enhanced_image_are_slices() -> None:
    volume = read_series([_enhanced()])
    assert volume.positions_mm[:, 2].tolist() == [-15, -10, -5, 0]
    assert volume.voxels[:, 0, 0].tolist() == [668, 412, 156, -100]
    assert volume.frames == (4, 3, 2, 1)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ImagePositionPatient": None}, "lacks position"),
        ({"PixelSpacing": None}, "lacks position"),
        ({"PixelSpacing": ["0", "0.5"]}, "zero or less"),
        ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, "perpendicular"),
        ({"ImageOrientationPatient": ["0", "0", "0", "0", "0", "0"]}, "perpendicular"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "0", "1"]}, "not parallel"),
        ({"ImagePositionPatient": ["-120", "-120"]}, "complete position"),
        ({"ImagePositionPatient": ["-120", "-120", "1e400"]}, "not a number"),
        ({"ImagePositionPatient": ["-120", "-120", "0"]}, "lie where another"),
        ({"PixelData": None}, "cannot be decoded"),
        ({"PixelData": b"\0" * 8}, "cannot be decoded"),
        ({"Rows": 8, "Columns": 32}, "differ in size"),
        ({"SamplesPerPixel": 2}, "cannot be decoded"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not greyscale"),
    ],
)
def test_what_cannot_be_placed_is_refused_without_the_patient(values: dict[str, Any], sentence: str) -> None:
    datasets = [ct(0), ct(1, **values)]
    for dataset in datasets:
        dataset.file_meta = META
    with pytest.raises(InvalidVolume, match=sentence) as refused:
        read_series(datasets)
    assert "Müller" not in str(refused.value)
    assert "T1" not in str(refused.value)


@pytest.mark.parametrize(("said", "millimetres"), [("4.5", 4.5), (None, 1.0), ("", 1.0), ("0", 1.0), ("-3", 1.0)])
def test_an_image_alone_is_as_thick_as_its_header_says(said: str | None, millimetres: float) -> None:
    [dataset] = tilted_ct(shape=(1, 4, 4))
    dataset.SliceThickness = said
    assert read_series([dataset]).slab_mm.tolist() == [millimetres]
    frame = _enhanced(frames=1)
    frame.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness = said
    assert read_series([frame]).slab_mm.tolist() == [millimetres]


def test_what_a_screen_would_invert_means_the_same() -> None:
    datasets = tilted_ct(shape=(3, 4, 4))
    expected = read_series(datasets).voxels
    for dataset in datasets:
        dataset.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(read_series(datasets).voxels, expected)


def test_slices_at_one_place_are_counted() -> None:
    datasets = tilted_ct(shape=(5, 4, 4))
    with pytest.raises(InvalidVolume, match="5 of 10 slices lie where another one lies"):
        read_series([*datasets, *tilted_ct(shape=(5, 4, 4))])
    with pytest.raises(InvalidVolume, match="1 of 6 slices"):
        read_series([*datasets, datasets[2]])


def test_no_instance_is_no_volume() -> None:
    with pytest.raises(InvalidVolume, match="no instance"):
        read_series([])


def test_a_folder_gives_its_largest_axial_series_of_the_modality(tmp_path: Path) -> None:
    small, large = tilted_ct(shape=(3, 8, 8), seed=1), tilted_ct(shape=(5, 8, 8), seed=2)
    localiser = tilted_ct(shape=(8, 8, 8), seed=3)
    others = tilted_ct(shape=(9, 8, 8), seed=4)
    for dataset in localiser:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    for dataset in others:
        dataset.Modality = "MR"
    for k, dataset in enumerate([*small, *large, *localiser, *others]):
        (tmp_path / f"{k}").write_bytes(as_bytes(dataset))
    (tmp_path / "notes.txt").write_text("not DICOM")
    assert read_folder(tmp_path, "CT").sources == tuple(d.SOPInstanceUID for d in large)
    assert len(read_folder(tmp_path, "MR").sources) == 9
    with pytest.raises(InvalidVolume, match="no axial PT series"):
        read_folder(tmp_path, "PT")


def test_a_folder_may_hold_an_image_whose_frames_say_everything_by_themselves(tmp_path: Path) -> None:
    image = multi_frame(tilted_ct(shape=(6, 8, 8)))
    [shared] = image.SharedFunctionalGroupsSequence
    for frame in image.PerFrameFunctionalGroupsSequence:
        frame.update(shared)
    del image.SharedFunctionalGroupsSequence
    (tmp_path / "image").write_bytes(as_bytes(image))
    assert read_folder(tmp_path, "CT").frames == (1, 2, 3, 4, 5, 6)


def test_a_damaged_file_is_named_rather_than_passed_over(tmp_path: Path) -> None:
    for k, dataset in enumerate(tilted_ct(shape=(3, 8, 8))):
        (tmp_path / f"{k}.dcm").write_bytes(as_bytes(dataset))
    whole = (tmp_path / "1.dcm").read_bytes()
    (tmp_path / "1.dcm").write_bytes(whole.replace(b"\x20\x00\x37\x00DS", b"\x20\x00\x37\x00XX"))
    with pytest.raises(InvalidVolume, match=r"1\.dcm is a damaged DICOM file") as refused:
        read_folder(tmp_path, "CT")
    assert "Demo" not in str(refused.value)


def test_a_damaged_element_is_refused() -> None:
    datasets = tilted_ct(shape=(2, 8, 8))
    content = as_bytes(datasets[0]).replace(b"\x20\x00\x32\x00DS", b"\x20\x00\x32\x00XX")
    datasets[0] = dcmread(BytesIO(content))
    with pytest.raises(InvalidVolume, match="geometry that cannot be read"):
        read_series(datasets)
