"""Slices side by side in one image: each found where its scanner says it lies, or the image is refused."""

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.ct import tilted_ct
from support.mosaic import siemens, united_imaging

from models.dicom import read_series
from models.errors import InvalidVolume
from models.mosaic import unfold

REAL = Path(nib.__file__).parent / "nicom" / "tests" / "data" / "siemens_dwi_1000.dcm.gz"
"""A real scanner's header, which nibabel brings for its own tests; its pixels are empty."""


UNITED_IMAGING = Path(__file__).parents[4] / "shared" / "data" / "cases" / "dicom" / "mr_dwi_uih"
"""A real series that is not part of the project."""


def _slices(count: int, tilt_deg: float = 12.0, *, flipped: bool = False) -> list[Dataset]:
    slices = tilted_ct(shape=(count, 6, 8), gaps_mm=[4.0] * (count - 1), tilt_deg=tilt_deg, flipped=flipped)
    row, column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    for number, each in enumerate(slices):
        each.Modality, each.ImageType = "MR", ["ORIGINAL", "PRIMARY", "DIFFUSION"]
        # A table moves along z; MR slices lie along their normal.
        each.ImagePositionPatient = [
            float(f"{v:.6f}") for v in (-10.0, 5.0, 2.0) + 4.0 * number * np.cross(row, column)
        ]
    return slices


@pytest.mark.parametrize("make", [siemens, united_imaging])
def test_a_mosaic_unfolds_into_images_of_its_own(make: Callable[[list[Dataset]], Dataset]) -> None:
    slices = _slices(7)
    mosaic = make(slices)
    apart = unfold(mosaic)
    assert [each.pixel_array.tolist() for each in apart] == [each.pixel_array.tolist() for each in slices]
    whole, volume = read_series([mosaic]), read_series(apart)
    assert np.array_equal(volume.voxels, whole.voxels)
    assert np.allclose(volume.positions_mm, whole.positions_mm, atol=1e-4)
    assert [each.SOPInstanceUID for each in unfold(mosaic)] == [each.SOPInstanceUID for each in apart]
    assert len({each.SOPInstanceUID for each in apart} | {mosaic.SOPInstanceUID}) == 8
    assert [each.InstanceNumber for each in apart] == [*range(1, 8)]
    assert unfold(slices[0]) == [slices[0]]


@settings(max_examples=30, deadline=None)
@given(
    make=st.sampled_from([siemens, united_imaging]),
    count=st.integers(2, 26),
    tilt_deg=st.floats(-30, 30),
    flipped=st.booleans(),
    backwards=st.booleans(),
)
def test_a_mosaic_is_the_volume_that_was_laid_side_by_side(
    make: Callable[[list[Dataset]], Dataset], count: int, tilt_deg: float, flipped: bool, backwards: bool
) -> None:
    slices = _slices(count, tilt_deg, flipped=flipped)
    whole = read_series(slices)
    volume = read_series([make(slices[::-1] if backwards else slices)])
    assert np.array_equal(volume.voxels, whole.voxels)
    assert np.allclose(volume.positions_mm, whole.positions_mm, atol=1e-4)
    assert volume.row_direction == whole.row_direction
    assert volume.thickness_mm == whole.thickness_mm
    assert set(volume.sources) == {slices[-1 if backwards else 0].SOPInstanceUID}
    numbers = list(range(1, count + 1))
    assert list(volume.frames) == (numbers[::-1] if backwards else numbers)


def test_of_several_mosaics_the_shell_near_1000_is_read_its_directions_averaged() -> None:
    mosaics = []
    for number, b_value in enumerate((0, 1000, 1000)):
        mosaic = united_imaging(_slices(5))
        mosaic.SOPInstanceUID = f"2.25.{number + 1}"
        mosaic.DiffusionBValue = float(b_value)
        mosaic.PixelData = np.full((mosaic.Rows, mosaic.Columns), (900, 100, 400)[number], np.int16).tobytes()
        mosaic.RescaleSlope, mosaic.RescaleIntercept = 1, 0
        mosaics.append(mosaic)
    volume = read_series(mosaics)
    assert volume.voxels.shape == (5, 6, 8)
    assert np.allclose(volume.voxels, 200)


def test_a_real_mosaic_lies_where_nibabel_says() -> None:
    with gzip.open(REAL) as file:
        mosaic = dcmread(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_data

        affine = np.asarray(wrapper_from_data(mosaic).affine)
    mosaic.PixelData = np.repeat(np.arange(7 * 7).reshape(7, 7).repeat(128, 0), 128, 1).astype(np.uint16).tobytes()
    volume = read_series([mosaic])
    assert volume.voxels.shape == (48, 128, 128)
    assert (volume.voxels == np.arange(48)[:, None, None]).all()
    for number in (0, 17, 47):
        assert np.allclose(volume.positions_mm[number], (affine @ [0, 0, number, 1])[:3], atol=1e-3)


@pytest.mark.skipif(not UNITED_IMAGING.is_dir(), reason="the real series is not on this machine")
def test_a_real_series_of_united_imaging_is_its_directions_as_one_volume() -> None:
    volume = read_series([dcmread(path) for path in sorted(UNITED_IMAGING.glob("*.dcm"))])
    assert volume.voxels.shape == (20, 64, 64)
    assert np.allclose(np.diff(volume.offsets_mm), 4.2, atol=1e-3)
    first = dcmread(UNITED_IMAGING / "00000001.dcm").pixel_array[:64, :64]
    # b0 is brighter than every direction, and not among them.
    assert np.median(volume.voxels[0][first > 300]) < 0.8 * np.median(first[first > 300])
    assert np.corrcoef(volume.voxels[0].ravel(), first.ravel())[0, 1] > 0.5


def _without(*groups: int) -> Callable[[Dataset], None]:
    def cut(mosaic: Dataset) -> None:
        for tag in [tag for tag in mosaic.keys() if tag.group in groups]:  # noqa: SIM118, tags rather than elements
            del mosaic[tag]

    return cut


def _claim(count: int) -> Callable[[Dataset], None]:
    def change(mosaic: Dataset) -> None:
        mosaic.private_block(0x0019, "SIEMENS MR HEADER")[0x0A].value = count

    return change


@pytest.mark.parametrize(
    ("make", "spoil"),
    [
        (siemens, _without(0x0029)),
        (siemens, _without(0x0019)),
        (siemens, _claim(0)),
        (siemens, _claim(17)),
        (siemens, lambda mosaic: mosaic.private_block(0x0029, "SIEMENS CSA HEADER").add_new(0x10, "OB", b"SV10\4\3")),
        (siemens, lambda mosaic: delattr(mosaic, "SpacingBetweenSlices")),
        (united_imaging, _without(0x0065)),
        (united_imaging, lambda mosaic: mosaic.private_block(0x0065, "Image Private Header")[0x51].value.pop()),
    ],
)
def test_a_mosaic_that_does_not_say_where_its_slices_lie_is_refused(
    make: Callable[[list[Dataset]], Dataset], spoil: Callable[[Dataset], None]
) -> None:
    mosaic = make(_slices(9))
    spoil(mosaic)
    with pytest.raises(InvalidVolume, match="a mosaic that does not say where its slices lie"):
        read_series([mosaic])
