"""Accepted labels become a BIDS dataset: valid by the official validator, aligned, the same again, naming nobody."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.diffusion_head import Sphere, head
from support.heads import head_instances, small_head
from support.images import analyse, receive

from models.prediction import Finding, Urgency
from services.context import Context
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release import export as module
from services.datasets.release.bids import split_of, write_bids
from services.datasets.release.case import Case, CaseImage
from services.datasets.release.export import Release, export
from services.errors import Reject, SettingsError
from services.ledger import annotations, workitem_changes, workitems
from services.ledger.accepted import AcceptedLabel
from services.ledger.workitems import Cause, NewWorkitem, Slot, State
from services.review.masks import Mask, grid_of
from services.review.sources import put_mask, read_grid
from services.review.tasks import find_task, load_tasks

KEY = Pseudonyms(b"k" * 32)
TASK = find_task(load_tasks(), "ich")
SECRETS = (b"Doe^Jane", b"Jane", b"MRN-5550", b"ana.silva", b"cy.weiss", b"20260102", b"1.2.826.0.1.3680043.10.543")


def accept(context: Context, number: int, **values: Any) -> tuple[int, np.ndarray[Any, Any]]:
    """A head CT of a patient of its own with an accepted label: workitem and label map."""
    scanned = small_head(("IPH", 20.0), seed=4, tilt_deg=0.0)
    datasets: list[Dataset] = head_instances(scanned, study=number)
    for dataset in datasets:
        dataset.PatientName, dataset.PatientID = f"Doe^Jane{number}", f"MRN-5550{number}"
        dataset.RescaleIntercept = str(number)  # other images in every study
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    study_uid, series_uid = receive(context, datasets)
    finding = Finding("IPH", 0.9, 20.0, Urgency.URGENT, 3)
    analysis = analyse(context, study_uid, series_uid, scanned.labels, [finding])
    labels = scanned.labels.copy()
    labels[0, :3, :3] = 3
    mask = Mask(labels, read_grid(context, series_uid))
    put_mask(context.store, mask)
    with context.pool.connection() as connection:
        new = NewWorkitem(study_uid, series_uid, "ich", Cause.HAND, analysis_id=analysis, created_by="cy.weiss")
        item_id = workitems.create(connection, new)
        assert item_id is not None

        def item() -> workitems.Workitem:
            found = workitems.read(connection, item_id)
            assert found is not None
            return found

        workitem_changes.assign(connection, item(), Slot.A, "ana.silva", by="ana.silva")
        drawn = annotations.append(
            connection, item(), Slot.A, author="ana.silva", base_digest=None, mask_digest=mask.digest,
            tool="Nightjar editor", labels={}, submitted=True,
        )  # fmt: skip
        workitem_changes.hand_in(connection, item(), Slot.A, drawn.id)
        workitem_changes.let_stand(connection, item(), drawn.id)
        for target in (State.ANNOTATED, State.IN_REVIEW, State.ACCEPTED):
            workitem_changes.move(connection, item(), target, account="cy.weiss", role="reviewer")
    return item_id, labels


def release(context: Context, target: Path) -> Release:
    return export(context, TASK, target, "Demonstration", KEY)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_is_valid_aligned_and_the_same_again(context: Context, tmp_path: Path) -> None:
    accepted = {accept(context, number)[0] for number in (1, 2)}
    labels = accept(context, 3)[1]
    made = release(context, tmp_path / "one")
    assert made.held == ()
    assert (made.content["cases"], made.content["participants"]) == (3, 3)
    assert len(accepted) == 2

    files = contents(tmp_path / "one")
    again = release(context, tmp_path / "two")
    assert again.content == made.content
    assert contents(tmp_path / "two") == files

    for name, data in files.items():
        plain = gzip.decompress(data) if name.endswith(".gz") else data
        assert not [secret for secret in SECRETS if secret in plain or secret in name.encode()], name

    images = sorted((tmp_path / "one").glob("sub-*/ses-*/ct/*_ct.nii.gz"))
    masks = sorted((tmp_path / "one").glob("derivatives/nightjar/sub-*/ses-*/ct/*_dseg.nii.gz"))
    assert len(images) == len(masks) == 3
    for image_path, mask_path in zip(images, masks, strict=True):
        image, mask = nib.load(image_path), nib.load(mask_path)
        assert np.array_equal(image.affine, mask.affine)
        assert image.shape == mask.shape
        assert np.array_equal(np.asarray(mask.dataobj).transpose(2, 1, 0), labels)
        told = json.loads(mask_path.with_suffix("").with_suffix(".json").read_text())
        assert told["Manual"]
        assert told["Provenance"]["Draft"]["Model"] == "ich"
        [person] = told["Provenance"]["People"]
        assert (person["Part"], person["HandedIn"]) == ("A", 1)
        assert person["Person"] == KEY.person("ana.silva")
        assert told["VolumesMillilitres"]["IPH"] > 5

    assert errors_in(tmp_path / "one") == []
    assert errors_in(tmp_path / "one" / "derivatives" / "nightjar") == []


def errors_in(folder: Path) -> list[Any]:
    """What the official validator refuses."""
    command = [str(Path(sys.executable).with_name("bids-validator-deno")), str(folder), "--json"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [issue for issue in json.loads(said)["issues"]["issues"] if issue["severity"] == "error"]


def test_a_diffusion_study_has_its_places(tmp_path: Path) -> None:
    made = head(Sphere((25.0, -10.0, 5.0), 12.0))
    images = []
    for role, volume in (("DWI", made.dwi), ("ADC", made.adc), ("FLAIR", made.flair)):
        header = Dataset()
        header.Modality, header.EchoTime, header.MagneticFieldStrength = "MR", "90", "3"
        header.StudyDate, header.StudyTime = "20190304", "031415"
        header.DeidentificationMethodCodeSequence = []
        images.append(CaseImage(role, volume, grid_of(volume, [header]), header))
    task = find_task(load_tasks(), "ais-mri")
    mask = Mask((made.truth * task.labels[0].value).astype(np.uint8), images[0].grid)
    label = AcceptedLabel(
        1, "ais-mri", "1.2.3", "1.2.3.4", "0" * 64, "Nightjar editor", {}, False, datetime(2026, 1, 1, tzinfo=UTC),
        "cy.weiss", 1, "ais", "0.1.0", "w", {}, (("A", "ana.silva", 1),), {"core": 0.9}, (), None,
    )  # fmt: skip
    case = Case(label, "NJAAAAAAAAAA", "12345678", tuple(images), mask, 0.1)
    content = write_bids(tmp_path / "ais", [case], task, "AIS", KEY)
    stem = "sub-NJAAAAAAAAAA/ses-12345678/{}/sub-NJAAAAAAAAAA_ses-12345678_"
    assert {
        stem.format("dwi") + "trace.nii.gz",
        stem.format("dwi") + "ADC.nii.gz",
        stem.format("anat") + "FLAIR.json",
    } < set(content["files"])
    told = json.loads((tmp_path / "ais" / (stem.format("dwi") + "trace.json")).read_text())
    assert told["EchoTime"] == 0.09
    assert "2019-03-04T03:14:15" in next((tmp_path / "ais").rglob("*_sessions.tsv")).read_text()
    assert errors_in(tmp_path / "ais") == []
    assert errors_in(tmp_path / "ais" / "derivatives" / "nightjar") == []


def test_a_patient_is_in_one_split_and_stays_there() -> None:
    splits = [split_of(KEY.share("split", f"patient {number}")) for number in range(2000)]
    assert splits == [split_of(KEY.share("split", f"patient {number}")) for number in range(2000)]
    shares = {name: splits.count(name) / 2000 for name in set(splits)}
    assert shares["train"] == pytest.approx(0.7, abs=0.04)
    assert shares["test"] == pytest.approx(0.15, abs=0.04)


def test_what_does_not_fit_is_held_and_the_rest_released(context: Context, tmp_path: Path) -> None:
    accept(context, 1)
    burned, _ = accept(context, 2, BurnedInAnnotation="YES")
    twin, _ = accept(context, 3, RescaleIntercept="9")
    other, _ = accept(context, 4, RescaleIntercept="9")
    moved, _ = accept(context, 5)
    with context.pool.connection() as connection:
        connection.execute("UPDATE instance SET conflict = true WHERE id = (SELECT max(id) FROM instance)")
    made = release(context, tmp_path / "out")
    reasons = dict(made.held)
    assert made.content["cases"] == 1
    assert "none was found" in reasons[burned]
    assert reasons[twin] == reasons[other] == "The same images stand under two patients."
    assert "does not lie on the grid" in reasons[moved]


def test_nothing_half_released(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Reject, match="Accept some"):
        release(context, tmp_path / "out")
    accept(context, 1)
    (tmp_path / "there").mkdir()
    with pytest.raises(SettingsError, match="exists"):
        release(context, tmp_path / "there")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_bids", full)
    with pytest.raises(Reject, match="No space left"):
        release(context, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
