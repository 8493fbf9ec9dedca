"""Released images beside those of dcm2niix, from the same objects: same voxels, same place, same words of it."""

import gzip
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dcm2niix  # type: ignore[import-untyped]
import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from support.ct import tilted_ct
from support.mr import Grid, volume

from services.datasets.release.case import image_of
from services.datasets.release.nifti import image_nifti
from services.datasets.release.sidecar import sidecar
from services.demonstration.header import StudyHeader
from services.demonstration.mr import DWI, Series, images
from services.demonstration.plan import DEMONSTRATION

GRID = Grid(shape=(12, 48, 64), spacing_mm=(5.5, 3.0, 2.5))
SAME_PLACE_MM = 1e-3
OURS = {"DeidentificationMethodCodeSequence", "Units", "DiffusionBValue", "GantryDetectorTilt", "KVP"}
"""What dcm2niix writes to no sidecar of these series; b-values are in a file beside its image."""

MAKERS = {"SIEMENS": "Siemens", "GE MEDICAL SYSTEMS": "GE"}


def ours(role: str, datasets: Sequence[Dataset]) -> tuple[Any, dict[str, Any]]:
    for dataset in datasets:
        dataset.DeidentificationMethodCodeSequence = []
    image = image_of(role, list(datasets))
    made = nib.nifti1.Nifti1Image.from_bytes(gzip.decompress(image_nifti(image)))
    return nib.as_closest_canonical(made), sidecar(image)


def theirs(datasets: Sequence[Dataset], folder: Path) -> tuple[Any, dict[str, Any], list[float]]:
    """The image (four dimensions where it is a series of volumes), its sidecar, and b-values."""
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    for number, dataset in enumerate(datasets):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / "in" / f"{number:03d}.dcm", enforce_file_format=True)
    command = [dcm2niix.bin, "-z", "n", "-b", "y", "-f", "image", "-o", str(folder / "out"), str(folder / "in")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout
    b_values = [float(b) for path in (folder / "out").glob("image.bval") for b in path.read_text().split()]
    told = json.loads((folder / "out" / "image.json").read_text())
    return nib.as_closest_canonical(nib.nifti1.load(folder / "out" / "image.nii")), told, b_values


def assert_same_words(here: dict[str, Any], there: dict[str, Any]) -> None:
    assert set(here) - set(there) <= OURS
    for name in (set(here) & set(there)) - {"ImageType", "Manufacturer"}:
        value = here[name]
        # Several words are a list here, as BIDS allows; dcm2niix leaves DICOM's backslash between them.
        said = "\\".join(value) if isinstance(value, list) and isinstance(there[name], str) else value
        assert said == (there[name] if isinstance(said, str) else pytest.approx(there[name], abs=1e-6)), name
    # dcm2niix writes the maker's name its own way, and adds to ImageType what it found out itself.
    assert set(here["ImageType"]) <= set(there["ImageType"])
    assert MAKERS[here["Manufacturer"]] == there["Manufacturer"]


def scanned(role: str, series: Series, image_type: tuple[str, ...], *, first: int = 0) -> list[Dataset]:
    plan = next(plan for plan in DEMONSTRATION if series.kind in plan.scanner.descriptions)
    header = StudyHeader(plan, seed=5, number=1)
    datasets = list(images(header, volume(role, GRID), series, image_type=image_type, first=first))
    for dataset in datasets:
        dataset.Manufacturer = "SIEMENS"
    return datasets


def test_a_t1_is_the_same(tmp_path: Path) -> None:
    datasets = scanned("T1", Series(5, "flair", (), ("SE",), 550, 12), ("ORIGINAL", "PRIMARY", "M", "SE"))
    there, said, _ = theirs(datasets, tmp_path)
    here, told = ours("T1", datasets)
    assert np.allclose(here.affine, there.affine, rtol=0, atol=SAME_PLACE_MM)
    assert np.array_equal(np.asarray(here.dataobj), np.asarray(there.dataobj))
    assert_same_words(told, said)
    assert (told["RepetitionTime"], told["EchoTime"]) == (0.55, 0.012)


def test_of_a_diffusion_series_it_is_the_shell_that_is_corrected(tmp_path: Path) -> None:
    diffusion = Series(DWI, "dwi", (), ("EP", "SE"), 5200, 90)
    datasets = []
    for role, b_value, kind in (("T2", 0.0, "NONE"), ("DWI", 1000.0, "TRACEW")):
        of_shell = scanned(role, diffusion, ("DERIVED", "PRIMARY", "DIFFUSION", kind), first=len(datasets))
        for dataset in of_shell:
            dataset.DiffusionBValue = b_value
        datasets += of_shell
    there, said, b_values = theirs(datasets, tmp_path)
    here, told = ours("DWI", datasets)
    assert b_values == [0, 1000]
    assert told["DiffusionBValue"] == 1000
    assert told["ImageType"][-1] == "TRACEW"
    assert np.allclose(here.affine, there.affine, rtol=0, atol=SAME_PLACE_MM)
    assert np.array_equal(np.asarray(here.dataobj), np.asarray(there.dataobj)[..., b_values.index(1000)])
    # Of a series of volumes dcm2niix says the time between them, and the first one's image type.
    said |= {"RepetitionTime": told["RepetitionTime"], "ImageType": [*said["ImageType"], "TRACEW"]}
    assert_same_words(told, said)


def test_under_a_tilt_voxels_are_the_same_and_our_steps_are_the_headers(tmp_path: Path) -> None:
    tilt = 18.0
    datasets = tilted_ct(shape=(6, 32, 32), gaps_mm=(5.0,) * 5, tilt_deg=tilt)
    for dataset in datasets:
        dataset.Manufacturer = "GE MEDICAL SYSTEMS"
    there, said, _ = theirs(datasets, tmp_path)
    here, told = ours("NCCT", datasets)
    assert np.array_equal(np.asarray(here.dataobj), np.asarray(there.dataobj))
    assert np.allclose(here.affine[:, [0, 1, 3]], there.affine[:, [0, 1, 3]], rtol=0, atol=SAME_PLACE_MM)
    # Named in docs/datasets.md: the table moved by 5 mm, as the headers' positions say; dcm2niix's uncorrected image
    # keeps what is left of that across the slices.
    assert here.affine[2, 2] == pytest.approx(5.0, abs=SAME_PLACE_MM)
    assert there.affine[2, 2] == pytest.approx(5.0 * np.cos(np.deg2rad(tilt)), abs=SAME_PLACE_MM)
    assert_same_words(told, said)
