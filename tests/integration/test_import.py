"""A dataset as ISLES'24 has it, built here: read, written for evaluation, and brought in as workitems."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from support.diffusion_head import Sphere, head
from support.images import receive

from models.nifti import grid_of, read_nifti
from models.registry import load_card
from models.volume import Volume
from services.context import Context
from services.datasets.evaluation.cases import find_studies
from services.datasets.importing.evaluating import write_evaluation
from services.datasets.importing.objects import write_objects
from services.datasets.importing.tree import read_tree
from services.datasets.importing.workitems import hand_in
from services.errors import Reject, SettingsError
from services.ledger import annotations, workitems
from services.ledger.workitems import State
from services.review import arrival
from services.review.sources import get_mask
from services.review.tasks import find_task, load_tasks

TASK = find_task(load_tasks(), "ais-mri")


@pytest.fixture(scope="module")
def made() -> dict[str, Volume]:
    scanned = head(Sphere((25.0, -10.0, 5.0), 12.0))
    return {"dwi": scanned.dwi, "adc": scanned.adc, "lesion-msk": _like(scanned.dwi, scanned.truth)}


def _like(volume: Volume, voxels: np.ndarray) -> Volume:
    return Volume(
        voxels.astype(np.float32),
        volume.positions_mm,
        volume.row_direction,
        volume.column_direction,
        volume.spacing_mm,
    )


def _write(volume: Volume, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint8 if "msk" in path.name else np.float32
    grid_of(volume).write(volume.voxels, path, kind)


@pytest.fixture
def isles(tmp_path: Path, made: dict[str, Volume]) -> Path:
    """Two subjects: acute CT, CTA and CTP with maps, follow-up MRI in the CT's space, clinical tables."""
    root = tmp_path / "isles"
    small = made["dwi"]
    for number in (1, 2):
        sub = f"sub-stroke{number:04d}"
        raw, derived = root / "raw_data" / sub / "ses-01", root / "derivatives" / sub
        for kind in ("ncct", "cta"):
            _write(small, raw / f"{sub}_ses-01_{kind}.nii.gz")
        moving = np.repeat(small.voxels.transpose(2, 1, 0)[..., None], 3, axis=3)
        nib.save(nib.Nifti1Image(moving, np.eye(4)), raw / f"{sub}_ses-01_ctp.nii.gz")
        _write(small, derived / "ses-01" / "perfusion-maps" / f"{sub}_ses-01_space-ncct_tmax.nii.gz")
        _write(made["lesion-msk"], derived / "ses-01" / f"{sub}_ses-01_space-ncct_lvo-msk.nii.gz")
        for kind in ("dwi", "adc", "lesion-msk"):
            _write(made[kind], derived / "ses-02" / f"{sub}_ses-02_space-ncct_{kind}.nii.gz")
        # The scanner's own DWI lies on another grid, where the mask does not.
        shrunk = Volume(
            small.voxels[:, ::2, ::2],
            small.positions_mm,
            small.row_direction,
            small.column_direction,
            (small.spacing_mm[0] * 2, small.spacing_mm[1] * 2),
        )
        _write(shrunk, root / "raw_data" / sub / "ses-02" / f"{sub}_ses-02_dwi.nii.gz")
        table = root / "phenotype" / sub / "ses-01" / f"{sub}_ses-01_demographic_baseline.csv"
        table.parent.mkdir(parents=True)
        table.write_text(f"Age,Sex,NIHSS\n{60 + number},F,n/a\n", encoding="utf-8")
    (root / "phenotype" / "clinical_data-description.xlsx").touch()
    return root


def test_an_isles_tree_is_read_and_evaluated(isles: Path, tmp_path: Path) -> None:
    tree = read_tree(isles)
    assert [case.name for case in tree.cases] == ["sub-stroke0001_ses-02", "sub-stroke0002_ses-02"]
    first = tree.cases[0]
    assert set(first.images) == {"NCCT", "CTA", "CTP", "Tmax", "DWI", "ADC"}
    assert "space-ncct" in first.images["DWI"].name
    assert first.clinical == {"Age": "61", "Sex": "F"}
    assert any("save it as CSV" in note for note in tree.notes)

    card = load_card("ais")
    names = write_evaluation(tree, card, tmp_path / "out")
    studies = find_studies(tmp_path / "out" / "images", tmp_path / "out" / "truth", card)
    assert [study.name for study in studies] == names
    assert studies[0].attributes == {"Age": "61", "Sex": "F"}
    assert studies[0].truth is not None
    drawn = read_nifti(studies[0].truth)[0].voxels
    assert set(np.unique(drawn)) == {0, card.labels[0].value}
    assert (tmp_path / "out" / "images" / names[0] / "CTP.nii.gz").is_file()

    with pytest.raises(SettingsError, match="exists"):
        write_evaluation(tree, card, tmp_path / "out")
    next(isles.rglob("sub-stroke0002_ses-02_space-ncct_adc.nii.gz")).unlink()
    with pytest.raises(SettingsError, match="sub-stroke0002_ses-02 has no ADC, which ais reads"):
        write_evaluation(read_tree(isles), card, tmp_path / "other")
    with pytest.raises(SettingsError, match="holds no mask named as BIDS"):
        read_tree(isles / "raw_data")


def test_masks_become_first_readings_of_workitems(
    isles: Path, tmp_path: Path, context: Context, made: dict[str, Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    [case, other] = read_tree(isles).cases
    series = write_objects(case, "ISLES", tmp_path / "dicom")
    assert set(series) == {"NCCT", "CTA", "DWI", "ADC"}
    with pytest.raises(Reject, match="have not arrived"):
        hand_in(context, case, "ISLES", series["DWI"], TASK)
    for role in ("DWI", "ADC"):
        receive(context, [dcmread(path) for path in sorted((tmp_path / "dicom" / case.name / role).iterdir())])

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(arrival, "arrived", interrupted)
        with pytest.raises(KeyboardInterrupt):
            hand_in(context, case, "ISLES", series["DWI"], TASK)
    number = hand_in(context, case, "ISLES", series["DWI"], TASK)
    assert hand_in(context, case, "ISLES", series["DWI"], TASK) == number

    with context.pool.connection() as connection:
        item = workitems.read(connection, number)
        assert item is not None
        assert item.state is State.ANNOTATED
        assert item.cause_detail == "Imported from ISLES."
        [drawn] = annotations.of_workitem(connection, number)
    assert (drawn.author, drawn.tool, drawn.submitted) == ("ISLES", "import", True)
    mask = get_mask(context.store, drawn.mask_digest)
    assert np.array_equal(mask.labels > 0, made["lesion-msk"].voxels > 0)
    assert other.name != case.name
