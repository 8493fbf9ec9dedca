"""Label maps become the same anatomy whichever way their file is turned; what is none is refused."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from support.labelmaps import write_labelmap

from models.errors import InvalidVolume
from models.synthesis.anatomy import SHAPE
from models.synthesis.labelmaps import read_labelmap
from models.synthesis.tissue import BRAIN, VOXEL_MM, Tissue


def test_a_map_lies_upright_with_its_brain_in_the_middle(tmp_path: Path) -> None:
    anatomy = read_labelmap(write_labelmap(tmp_path / "head.nii.gz"))
    assert anatomy.tissue.shape == SHAPE
    for tissue in (Tissue.AIR, Tissue.BONE, Tissue.CSF, Tissue.LATERAL, Tissue.GREY, Tissue.WHITE, Tissue.DURA):
        assert anatomy.mask(tissue).any(), tissue
    brain = np.argwhere(anatomy.mask(*BRAIN))
    low, high = brain.min(axis=0), brain.max(axis=0)
    assert (SHAPE[0] - 1 - high[0]) * VOXEL_MM == pytest.approx(20, abs=2 * VOXEL_MM)
    assert np.allclose((low + high)[1:] / 2, (np.array(SHAPE[1:]) - 1) / 2, atol=2)
    # The cerebellum lies low and behind; the map's left hemisphere on the left, which is the higher x.
    below = np.argwhere(anatomy.mask(Tissue.CEREBELLUM)).mean(axis=0) - brain.mean(axis=0)
    assert below[0] < 0
    assert below[1] > 0
    assert np.argwhere(anatomy.mask(Tissue.DEEP_GREY))[:, 2].mean() > (SHAPE[2] - 1) / 2


@pytest.mark.parametrize("axes", ["LPS", "PIR", "SAL"])
def test_the_axes_of_the_file_do_not_matter(tmp_path: Path, axes: str) -> None:
    upright = write_labelmap(tmp_path / "upright.nii.gz")
    image = nib.nifti1.load(upright)
    there = nib.orientations.axcodes2ornt(axes)
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), there))
    nib.save(turned, tmp_path / "turned.nii.gz")
    assert np.array_equal(read_labelmap(upright).tissue, read_labelmap(tmp_path / "turned.nii.gz").tissue)


@pytest.mark.parametrize(
    "numbers",
    [np.zeros((4, 4, 4, 2), np.int16), np.full((4, 4, 4), 2000, np.int16), np.full((4, 4, 4), 502, np.int16)],
    ids=["four dimensions", "unknown labels", "no brain"],
)
def test_what_is_no_label_map_is_refused(tmp_path: Path, numbers: NDArray[np.int16]) -> None:
    nib.save(nib.Nifti1Image(numbers, np.eye(4)), tmp_path / "map.nii.gz")
    with pytest.raises(InvalidVolume, match=r"map\.nii\.gz"):
        read_labelmap(tmp_path / "map.nii.gz")


def test_a_file_that_is_no_nifti_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.nii.gz").write_text("not an image")
    with pytest.raises(InvalidVolume, match=r"map\.nii\.gz"):
        read_labelmap(tmp_path / "map.nii.gz")
