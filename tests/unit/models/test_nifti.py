"""NIfTI in and out: masks lie on their image's grid, whatever the axes and signs of the file."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from numpy.typing import NDArray
from support.ct import tilted_ct

from models.dicom import read_series
from models.errors import InvalidVolume
from models.nifti import grid_of, read_nifti

RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


def rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    c, s = np.cos([x, y, z]), np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
    about_y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
    about_z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


angles = st.floats(-3, 3)


@settings(max_examples=40, deadline=None)
@given(
    turns=st.tuples(angles, angles, angles),
    mirrored=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    spacing=st.tuples(*[st.floats(0.4, 6)] * 3),
    shape=st.tuples(*[st.integers(2, 6)] * 3),
    seed=st.integers(0, 9),
)
def test_every_voxel_keeps_its_place_and_every_mask_returns_to_it(
    tmp_path_factory: pytest.TempPathFactory,
    turns: tuple[float, float, float],
    mirrored: tuple[bool, bool, bool],
    spacing: tuple[float, float, float],
    shape: tuple[int, int, int],
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("nifti")
    affine = np.eye(4)
    affine[:3, :3] = rotation(*turns) @ np.diag(np.where(mirrored, -1, 1) * np.array(spacing))
    affine[:3, 3] = [-30, 12, 7]
    data = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(np.int16)
    nib.save(nib.Nifti1Image(data, affine), folder / "image.nii")
    volume, grid = read_nifti(folder / "image.nii")

    assert (np.diff(volume.offsets_mm) > 0).all()
    for value in (0, int(data.max()) // 2, int(data.max())):
        k, i, j = np.argwhere(volume.voxels == value)[0]
        place = (
            volume.positions_mm[k]
            + i * volume.spacing_mm[0] * np.array(volume.column_direction)
            + j * volume.spacing_mm[1] * np.array(volume.row_direction)
        )
        expected = apply_affine(affine, np.argwhere(data == value)[0]) * RAS_TO_LPS
        assert np.allclose(place, expected, atol=1e-3)
    whole_ml = volume.measure_ml(np.ones(volume.voxels.shape, np.bool_))
    assert whole_ml == pytest.approx(np.prod(shape) * np.prod(spacing) / 1000, rel=1e-4)

    grid.write((volume.voxels % 5).astype(np.uint8), folder / "mask.nii.gz")
    written = nib.nifti1.load(folder / "mask.nii.gz")
    assert np.array_equal(np.asanyarray(written.dataobj), data % 5)
    assert written.get_data_dtype() == np.uint8
    assert np.allclose(written.affine, affine, atol=1e-5)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_mask_of_a_tilted_series_lies_on_its_slices(tmp_path: Path, flipped: bool) -> None:
    volume = read_series(tilted_ct(shape=(6, 5, 7), gaps_mm=(5.0,) * 5, flipped=flipped))
    mask = np.zeros(volume.voxels.shape, np.uint8)
    mask[4, 1, 3] = 2
    grid_of(volume).write(mask, tmp_path / "mask.nii.gz")
    written = nib.nifti1.load(tmp_path / "mask.nii.gz")
    place = apply_affine(written.affine, np.argwhere(np.asanyarray(written.dataobj) == 2)[0]) * RAS_TO_LPS
    expected = (
        volume.positions_mm[4]
        + 1 * volume.spacing_mm[0] * np.array(volume.column_direction)
        + 3 * volume.spacing_mm[1] * np.array(volume.row_direction)
    )
    assert np.allclose(place, expected, atol=1e-3)


def test_unknown_voxels_become_the_lowest_value(tmp_path: Path) -> None:
    data = np.full((3, 3, 3), 40, np.float32)
    data[0], data[1, 1, 1] = np.nan, -900
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "image.nii")
    volume, _ = read_nifti(tmp_path / "image.nii")
    assert np.unique(volume.voxels).tolist() == [-900, 40]


def test_one_volume_in_four_dimensions_is_read(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5, 1), np.int16), np.eye(4)), tmp_path / "image.nii.gz")
    assert read_nifti(tmp_path / "image.nii.gz")[0].voxels.shape == (5, 4, 3)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    def refused(name: str) -> str:
        with pytest.raises(InvalidVolume) as error:
            read_nifti(tmp_path / name)
        return str(error.value)

    (tmp_path / "text.nii").write_text("not an image")
    assert "cannot be read" in refused("text.nii")
    assert "cannot be read" in refused("absent.nii")
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)), np.eye(4)), tmp_path / "whole.nii.gz")
    whole = (tmp_path / "whole.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in refused("cut.nii.gz")
    (tmp_path / "bent.nii.gz").write_bytes(whole[:800] + bytes(200) + whole[1000:])
    assert "cannot be read" in refused("bent.nii.gz")
    (tmp_path / "empty.nii.gz").write_bytes(gzip.compress(b""))
    assert "cannot be read" in refused("empty.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.int16), np.eye(4)), tmp_path / "series.nii")
    assert "dimensions" in refused("series.nii")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    assert "numbers" in refused("complex.nii")
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), np.nan, np.float32), np.eye(4)), tmp_path / "nan.nii")
    assert "no numbers" in refused("nan.nii")
    flat = nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), None)
    flat.header.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), code=1)
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.int16), None, flat.header), tmp_path / "flat.nii")
    assert "nowhere" in refused("flat.nii")
