"""Masks out to the readers people use (nibabel; ITK, which is 3D Slicer's and ITK-SNAP's) and back, voxel by voxel."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from support.masks import GEOMETRIES, blobs, images

from services.review.incoming import OtherGrid
from services.review.mask_nifti import read_nifti_mask, write_nifti
from services.review.masks import Grid, InvalidMask, Mask


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_round_trip_through_itk(geometry: str, tmp_path: Path) -> None:
    grid, _ = images(geometry)
    labels = blobs(grid)
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(write_nifti(Mask(labels, grid)))
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), labels)
    SimpleITK.WriteImage(image, str(path))
    taken = read_nifti_mask(path.read_bytes(), grid)
    assert np.array_equal(taken.segments, labels)
    assert not taken.resampled


@pytest.mark.parametrize("geometry", ["upright and even", "oblique", "rows reversed"])
def test_itk_sees_the_voxels_where_they_are_in_the_patient(geometry: str, tmp_path: Path) -> None:
    grid, _ = images(geometry)
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(write_nifti(Mask(blobs(grid), grid)))
    place = SimpleITK.ReadImage(str(path)).TransformIndexToPhysicalPoint((50, 20, 7))  # ITK's points are LPS
    assert np.allclose(place, grid.place_mm((7, 20, 50)), atol=1e-3)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIR", "SLA"])
def test_any_order_and_sign_of_axes_comes_back(geometry: str, axes: str) -> None:
    grid, _ = images(geometry)
    labels = blobs(grid)
    image = nib.nifti1.Nifti1Image.from_bytes(gzip.decompress(write_nifti(Mask(labels, grid))))
    assert np.array_equal(np.asanyarray(image.dataobj).transpose(2, 1, 0), labels)
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
    assert np.array_equal(read_nifti_mask(image.as_reoriented(turn).to_bytes(), grid).segments, labels)


def test_what_a_nifti_cannot_say_is_said() -> None:
    grid, _ = images()
    notes = " ".join(read_nifti_mask(write_nifti(Mask(blobs(grid), grid)), grid).notes)
    assert "names no patient" in notes
    assert "unevenly spaced" in notes


def _file(grid: Grid, voxels: Any, *, affine: Any = None, code: int = 1) -> bytes:
    image = nib.nifti1.Nifti1Image(voxels, None)
    affine = np.diag([-1.0, -1, 1, 1]) @ grid.affine if affine is None else affine
    image.set_sform(affine, code)
    image.set_qform(None, 0)
    data: bytes = image.to_bytes()
    return data


def _refusal(data: bytes, grid: Grid) -> str:
    with pytest.raises(InvalidMask) as refused:
        read_nifti_mask(data, grid)
    return str(refused.value)


def test_refusals_say_what_and_where() -> None:
    grid, _ = images("upright and even")
    labels = np.ascontiguousarray(blobs(grid).transpose(2, 1, 0))
    for voxels, said in (
        (labels.astype(np.float32), "holds float32 values; labels are whole numbers"),
        (np.stack([labels] * 2, axis=-1), "has 4 dimensions (64 x 64 x 10 x 2)"),
        (labels * 0, "marks nothing"),
        (labels.astype(np.int16) * -1, "holds the number -5 at voxel (16, 30, 7)"),
        (labels[1:], "63 x 64 x 10 voxels, the images 64 x 64 x 10"),
    ):
        assert said in _refusal(_file(grid, voxels), grid)
    assert "does not say where" in _refusal(_file(grid, labels, code=0), grid)
    assert "no NIfTI" in _refusal(b"not a nifti at all" * 40, grid)
    affine = np.diag([-1.0, -1, 1, 1]) @ grid.affine
    shifted, larger, turned = affine.copy(), affine.copy(), affine.copy()
    shifted[:3, 3] += [0, 4.0, 3.0]
    assert "lies 5.0 mm away from the images" in _refusal(_file(grid, labels, affine=shifted), grid)
    larger[:3, 0] *= 1.5
    assert "voxels are 4.65 x 3.2 x 5 mm, the images' 3.1 x 3.2 x 5 mm" in _refusal(
        _file(grid, labels, affine=larger), grid
    )
    angle = np.deg2rad(6)
    turned[:3, :3] = (
        np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]) @ turned[:3, :3]
    )
    assert "turned by 6.0 degrees" in _refusal(_file(grid, labels, affine=turned), grid)


@pytest.mark.parametrize("part", [0.001, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused_wherever_it_ends(part: float) -> None:
    grid, _ = images()
    data = write_nifti(Mask(blobs(grid), grid))
    for content in (data, gzip.decompress(data)):
        said = _refusal(content[: max(3, int(len(content) * part))], grid)
        assert "ends early" in said or "no NIfTI" in said


def test_another_grid_is_resampled_only_when_asked() -> None:
    grid, _ = images("oblique")
    labels = blobs(grid)
    coarse = labels[:, ::2, ::2].transpose(2, 1, 0)
    affine = np.diag([-1.0, -1, 1, 1]) @ grid.affine
    affine[:3, :2] *= 2
    data = _file(grid, np.ascontiguousarray(coarse), affine=affine)
    with pytest.raises(OtherGrid, match="32 x 32 x 10 voxels"):
        read_nifti_mask(data, grid)
    taken = read_nifti_mask(data, grid, resampled=True)
    assert taken.resampled
    assert np.array_equal(taken.segments[:, ::2, ::2], labels[:, ::2, ::2])
