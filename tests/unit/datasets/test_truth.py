"""Label maps come onto their image's axes voxel for voxel, or are refused."""

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from support.ct import blobs, tilted_ct
from support.labelled import small_card

from models.dicom import read_series
from models.errors import InvalidVolume
from models.nifti import grid_of, read_nifti
from services.datasets.evaluation.truth import read_truth
from services.results.uids import derive_uid

ORIENTATIONS = [
    np.array([[axis, sign] for axis, sign in zip(order, signs, strict=True)], float)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]


@given(st.sampled_from(ORIENTATIONS), st.sampled_from(ORIENTATIONS), st.integers(0, 2**32 - 1))
def test_any_axes_and_signs_of_truth_and_image_meet(
    tmp_path_factory: pytest.TempPathFactory, of_image: np.ndarray, of_truth: np.ndarray, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("axes")
    labels = np.random.default_rng(seed).integers(0, 3, (5, 7, 6)).astype(np.uint8)
    affine = np.array([[-1.5, 0, 0, 20], [0, -1.4, 0.6, -5], [0, 0.4, 4.0, 3], [0, 0, 0, 1]])

    def write(name: str, orientation: np.ndarray) -> Path:
        data = nib.orientations.apply_orientation(labels, orientation)
        place = affine @ nib.orientations.inv_ornt_aff(orientation, labels.shape)
        nib.save(nib.Nifti1Image(data, place), folder / name)
        return folder / name

    volume, _ = read_nifti(write("image.nii", of_image))
    truth = read_truth(write("truth.nii", of_truth), volume, small_card())
    assert np.array_equal(truth, volume.voxels)


@pytest.mark.parametrize("flipped", [False, True])
def test_what_predict_writes_for_dicom_is_a_truth_for_it(tmp_path: Path, flipped: bool) -> None:
    volume = read_series(tilted_ct(flipped=flipped))
    labels = blobs(volume.voxels.shape, (1, 2))
    grid_of(volume).write(labels, tmp_path / "truth.nii.gz")
    assert np.array_equal(read_truth(tmp_path / "truth.nii.gz", volume, small_card()), labels)


def test_half_a_millimetre_off_is_another_grid(tmp_path: Path) -> None:
    volume = read_series(tilted_ct())
    affine = grid_of(volume).affine.copy()
    affine[0, 3] += 0.5
    nib.save(nib.Nifti1Image(blobs(volume.voxels.shape, (1,)).transpose(2, 1, 0), affine), tmp_path / "t.nii")
    with pytest.raises(InvalidVolume, match=r"t\.nii lies on another grid than its image: it has 64 x 64 x 10"):
        read_truth(tmp_path / "t.nii", volume, small_card())


@pytest.mark.parametrize("value", [3, 1.5, -1])
def test_values_the_card_does_not_know_are_refused(tmp_path: Path, value: float) -> None:
    volume = read_series(tilted_ct())
    data = np.zeros(volume.voxels.shape[::-1], np.float32)
    data[3, 4, 5] = value
    nib.save(nib.Nifti1Image(data, grid_of(volume).affine), tmp_path / "t.nii")
    with pytest.raises(InvalidVolume, match=rf"the value {value:g}; small knows 1 \(blot\), 2 \(stain\) and 0"):
        read_truth(tmp_path / "t.nii", volume, small_card())


def segmentation(sources: list[Dataset], masks: np.ndarray, names: tuple[str, ...]) -> Segmentation:
    """`masks`: bool (slice, row, column, segment)."""
    return Segmentation(
        source_images=sources,
        pixel_array=masks,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            SegmentDescription(
                segment_number=number,
                segment_label=name,
                segmented_property_category=Code("49755003", "SCT", "Morphologically abnormal structure"),
                segmented_property_type=Code(name, "99OTHER", name),
                algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
            )
            for number, name in enumerate(names, start=1)
        ],
        series_instance_uid=derive_uid("test-seg-series"),
        series_number=5,
        sop_instance_uid=derive_uid("test-seg"),
        instance_number=1,
        manufacturer="Test",
        manufacturer_model_name="Test",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    )


def test_a_dicom_segmentation_lies_on_its_slices(tmp_path: Path) -> None:
    sources = tilted_ct()
    volume = read_series(sources)
    labels = blobs(volume.voxels.shape, (2, 1))
    written = segmentation(sources, np.stack([labels == 1, labels == 2], axis=3), ("blot", "stain"))
    written.save_as(tmp_path / "truth.dcm")
    assert np.array_equal(read_truth(tmp_path / "truth.dcm", volume, small_card()), labels)
    (tmp_path / "folder").mkdir()
    written.save_as(tmp_path / "folder/1")
    assert np.array_equal(read_truth(tmp_path / "folder", volume, small_card()), labels)


def test_segmentations_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sources = tilted_ct()
    volume = read_series(sources)
    labels = blobs(volume.voxels.shape, (1,)) > 0
    path = tmp_path / "s.dcm"

    segmentation(sources, labels[..., None], ("other",)).save_as(path)
    with pytest.raises(InvalidVolume, match="segment 1 is none of blot, stain"):
        read_truth(path, volume, small_card())
    segmentation(sources, np.stack([labels, labels], axis=3), ("blot", "stain")).save_as(path)
    with pytest.raises(InvalidVolume, match="segments that overlap"):
        read_truth(path, volume, small_card())
    segmentation(sources, labels[..., None], ("blot",)).save_as(path)
    with pytest.raises(InvalidVolume, match="another grid than its image: a plane is"):
        read_truth(path, read_series(tilted_ct(gaps_mm=(3.1,) * 9)), small_card())
    with pytest.raises(InvalidVolume, match="its planes are turned"):
        read_truth(path, read_series(tilted_ct(turn_deg=9)), small_card())
    with pytest.raises(InvalidVolume, match="its planes have 64 x 64 voxels, the image's 32 x 32"):
        read_truth(path, read_series(tilted_ct(shape=(10, 32, 32))), small_card())


def test_a_folder_without_one_segmentation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")
    with pytest.raises(InvalidVolume, match="holds 0 binary DICOM Segmentations"):
        read_truth(tmp_path, read_series(tilted_ct()), small_card())
