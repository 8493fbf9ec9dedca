"""Accepted labels become a BIDS dataset: valid by the official validator, aligned, the same again, naming nobody."""

import gzip
import hashlib
import json
import resource
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.accepted import accept
from support.diffusion_head import Sphere, head
from support.mosaic import united_imaging

from models.dicom import read_series
from services.context import Context
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release import export as module
from services.datasets.release.bids import write_bids
from services.datasets.release.case import Case, CaseImage
from services.datasets.release.checking import check_release
from services.datasets.release.entry import Entry, Plan, split_of
from services.datasets.release.export import Release, export, rebuild
from services.datasets.release.layouts import Layout
from services.datasets.release.validator import bids_problems
from services.errors import Reject, SettingsError
from services.ledger import consent, releases
from services.ledger.accepted import AcceptedLabel
from services.ledger.consent import Consent, ConsentEntry
from services.review.mask_seg import read_segmentation
from services.review.masks import Mask, grid_of
from services.review.tasks import find_task, load_tasks

KEY = Pseudonyms(b"k" * 32)
TASK = find_task(load_tasks(), "ich")
SECRETS = (b"Doe^Jane", b"Jane", b"MRN-5550", b"ana.silva", b"cy.weiss", b"20260102", b"1.2.826.0.1.3680043.10.543")


def release(context: Context, target: Path, layout: Layout = Layout.BIDS) -> Release:
    return export(context, TASK, target, "Demonstration", KEY, layout=layout)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items()}


def decide(context: Context, decision: Consent, **whose: str) -> None:
    with context.pool.connection() as connection:
        consent.record(connection, [ConsentEntry(decision, "form 7", **whose)], by="trial office")


@pytest.fixture
def three(context: Context) -> NDArray[np.uint8]:
    """Three accepted labels, all read twice; the label map that all have."""
    masks = [accept(context, number, twice=True)[1] for number in (1, 2, 3)]
    return masks[0]


def test_a_release_is_valid_aligned_and_the_same_again(
    context: Context, tmp_path: Path, three: NDArray[np.uint8]
) -> None:
    made = release(context, tmp_path / "one")
    assert made.held == ()
    assert (made.content["cases"], made.content["participants"], made.content["number"]) == (3, 3, 1)

    files = contents(tmp_path / "one")
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
        assert np.array_equal(np.asarray(mask.dataobj).transpose(2, 1, 0), three)
        told = json.loads(mask_path.with_suffix("").with_suffix(".json").read_text())
        assert told["Manual"]
        assert told["VolumesMillilitres"]["IPH"] > 5
        made_by = told["Provenance"]
        assert made_by["Draft"]["Model"] == "ich"
        assert {person["Person"] for person in made_by["People"]} <= {KEY.person("ana.silva"), KEY.person("bo.meier")}
        assert [each["Round"] for each in made_by["HandedIn"]] == [1] * len(made_by["People"])
        assert [each["Dice"] for each in made_by["Agreement"]] == [0.9] * (len(made_by["People"]) - 1)
        assert "note" not in made_by["ImageQuality"][0]

    report = files["quality.html"].decode()
    assert report.count("<svg") == 6
    assert "not-met" not in report.partition("</style>")[2]
    assert all(not check.problems for check in check_release(tmp_path / "one"))

    # The same labels are the same release; another one later does not change what the first was made of.
    again = release(context, tmp_path / "two")
    assert again.content == made.content
    assert digests(tmp_path / "two") == digests(tmp_path / "one")
    accept(context, 4)
    with context.pool.connection() as connection:
        record = releases.find(connection, made.content["release"])
    rebuild(context, TASK, tmp_path / "three", record, KEY)
    assert digests(tmp_path / "three") == digests(tmp_path / "one")

    decide(context, Consent.WITHDRAWN, patient_id="MRN-55502")
    with pytest.raises(Reject, match=r"Release 1 of ich cannot be made again: workitem \d+: Consent .* withdrawn"):
        rebuild(context, TASK, tmp_path / "four", record, KEY)
    with pytest.raises(SettingsError, match="was made with the key"):
        rebuild(context, TASK, tmp_path / "four", record, Pseudonyms(b"x" * 32))
    assert not (tmp_path / "four").exists()

    next(iter((tmp_path / "two").rglob("*_dseg.nii.gz"))).write_bytes(b"")
    (tmp_path / "two" / "note.txt").touch()
    wrong = [problem for check in check_release(tmp_path / "two") for problem in check.problems]
    assert any("was changed" in problem for problem in wrong)
    assert "note.txt was added." in wrong


def test_other_layouts_hold_the_same_masks_on_the_same_grid(
    context: Context, tmp_path: Path, three: NDArray[np.uint8]
) -> None:
    with pytest.raises(SettingsError, match="Dataset101_ich"):
        release(context, tmp_path / "nnunet", Layout.NNUNET)
    nnunet = tmp_path / "Dataset101_ich"
    content = release(context, nnunet, Layout.NNUNET).content
    told = json.loads((nnunet / "dataset.json").read_text())
    assert told["channel_names"] == {"0": "CT"}
    assert list(told["labels"].values()) == list(range(len(TASK.labels) + 1))
    [fold] = json.loads((nnunet / "splits_final.json").read_text())
    assert told["numTraining"] == len(fold["train"]) + len(fold["val"]) == len(list(nnunet.glob("labelsTr/*")))
    for mask_path in nnunet.glob("labelsT[rs]/*.nii.gz"):
        image = nib.load(Path(str(mask_path).replace("labels", "images").replace(".nii.gz", "_0000.nii.gz")))
        mask = nib.load(mask_path)
        assert np.array_equal(image.affine, mask.affine)
        assert np.array_equal(np.asarray(mask.dataobj).transpose(2, 1, 0), three)

    decathlon = tmp_path / "decathlon"
    second = release(context, decathlon, Layout.DECATHLON).content
    assert (content["number"], second["number"]) == (1, 2)
    listed = json.loads((decathlon / "dataset.json").read_text())
    listed_files = [each for key in ("training", "validation", "test") for each in listed[key]]
    assert len(listed_files) == 3
    assert all((decathlon / each[key]).is_file() for each in listed_files for key in ("image", "label"))

    objects = tmp_path / "objects"
    index = release(context, objects, Layout.DICOM).content["index"]
    release(context, tmp_path / "again", Layout.DICOM)
    assert digests(objects) == digests(tmp_path / "again")
    for entry in index:
        datasets = [dcmread(path) for path in sorted((objects / entry["images"]["NCCT"]).glob("*.dcm"))]
        grid = grid_of(read_series(datasets), datasets)
        data = (objects / entry["mask"]).read_bytes()
        back = read_segmentation(data, grid, study_uid=datasets[0].StudyInstanceUID)
        assert np.array_equal(back.segments > 0, three > 0)
        assert set(back.names.values()) == {"IPH", "SDH"}
        assert dcmread(objects / entry["mask"]).PatientIdentityRemoved == "YES"


def test_a_mosaic_is_released_as_the_slices_it_holds(context: Context, tmp_path: Path) -> None:
    elsewhere = {"BodyPartExamined": "ABDOMEN", "StudyDescription": "Abdomen", "SeriesDescription": "axial"}
    _, labels = accept(context, 1, side_by_side=united_imaging, Modality="MR", **elsewhere)
    made = release(context, tmp_path / "out", Layout.DICOM)
    assert made.held == ()
    [mask] = (tmp_path / "out").rglob("*_seg.dcm")
    slices = [dcmread(path) for path in (tmp_path / "out").rglob("*.dcm") if path != mask]
    assert len(slices) == len(labels)
    assert not any("VFRAME" in each.ImageType for each in slices)
    grid = grid_of(read_series(slices), slices)
    back = read_segmentation(mask.read_bytes(), grid, study_uid=slices[0].StudyInstanceUID)
    assert np.array_equal(back.segments > 0, labels > 0)


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
        "cy.weiss", 1, "ais", "0.1.0", "w", {}, (("A", "ana.silva", 1),), (), (), (), None,
    )  # fmt: skip
    case = Case(label, "NJAAAAAAAAAA", "12345678", tuple(images), mask, 0.1)
    [entry] = write_bids(tmp_path / "ais", [case], Plan(task, "AIS", 1, date(2026, 1, 1), "bids", KEY))
    stem = "sub-NJAAAAAAAAAA/ses-12345678/{}/sub-NJAAAAAAAAAA_ses-12345678_"
    assert entry.images == {
        "DWI": stem.format("dwi") + "trace.nii.gz",
        "ADC": stem.format("dwi") + "ADC.nii.gz",
        "FLAIR": stem.format("anat") + "FLAIR.nii.gz",
    }
    told = json.loads((tmp_path / "ais" / (stem.format("dwi") + "trace.json")).read_text())
    assert told["EchoTime"] == 0.09
    assert "2019-03-04T03:14:15" in next((tmp_path / "ais").rglob("*_sessions.tsv")).read_text()
    assert bids_problems(tmp_path / "ais") == []


def test_a_patient_is_in_one_split_and_stays_there() -> None:
    splits = [split_of(KEY.share("split", f"patient {number}")) for number in range(2000)]
    assert splits == [split_of(KEY.share("split", f"patient {number}")) for number in range(2000)]
    shares = {name: splits.count(name) / 2000 for name in set(splits)}
    assert shares["train"] == pytest.approx(0.7, abs=0.04)
    assert shares["test"] == pytest.approx(0.15, abs=0.04)


def test_what_does_not_fit_is_held_and_the_rest_released(context: Context, tmp_path: Path) -> None:
    kept, _ = accept(context, 1)
    burned, _ = accept(context, 2, BurnedInAnnotation="YES")
    twin, _ = accept(context, 3, RescaleIntercept="9")
    other, _ = accept(context, 4, RescaleIntercept="9")
    moved, _ = accept(context, 5)
    with context.pool.connection() as connection:
        connection.execute("UPDATE instance SET conflict = true WHERE id = (SELECT max(id) FROM instance)")
    silent, _ = accept(context, 6, consented=False)
    withdrawn, _ = accept(context, 7)
    decide(context, Consent.WITHDRAWN, patient_id="MRN-55507")
    waiting, _ = accept(context, 8)
    decide(context, Consent.HOLD, study_uid=study_of(context, waiting))
    refused = Dataset()
    refused.ConsentForDistributionFlag = "NO"
    no, _ = accept(context, 9, ConsentForClinicalTrialUseSequence=[refused])
    stranger, _ = accept(context, 10, last={"PatientID": "MRN-77777"})
    made = release(context, tmp_path / "out")
    reasons = dict(made.held)
    assert made.content["cases"] == 1
    assert kept not in reasons
    assert "none was found" in reasons[burned]
    assert reasons[twin] == reasons[other] == "The same images stand under two patients."
    assert "does not lie on the grid" in reasons[moved]
    assert reasons[silent].startswith("No consent to its release is recorded, for its patient or its study.")
    assert reasons[withdrawn] == "Consent to its release was withdrawn."
    assert reasons[waiting].startswith("A hold lies on its patient or its study.")
    assert reasons[no] == "Its headers say NO of consent to distribution."
    assert reasons[stranger] == "Its series name two patients."
    assert "No consent to its release" in (tmp_path / "out" / "quality.html").read_text()


def study_of(context: Context, workitem: int) -> str:
    with context.pool.connection() as connection:
        row = connection.execute("SELECT study_uid FROM workitem WHERE id = %s", [workitem]).fetchone()
    assert row is not None
    return str(row["study_uid"])


def test_nothing_half_released(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "releases" / "out"
    out.parent.mkdir()
    with pytest.raises(Reject, match="Accept some"):
        release(context, out)
    accept(context, 1)
    (tmp_path / "there").mkdir()
    with pytest.raises(SettingsError, match="exists"):
        release(context, tmp_path / "there")

    def invalid(folder: Path, *_: Any) -> list[Entry]:
        entries = write_bids(folder, *_)
        (folder / "sub-1").mkdir()
        (folder / "sub-1" / "holiday.nii.gz").touch()
        return entries

    shapes = {**module.SHAPES, Layout.BIDS: replace(module.SHAPES[Layout.BIDS], write=invalid)}
    with monkeypatch.context() as patched:
        patched.setattr(module, "SHAPES", shapes)
        with pytest.raises(Reject, match=r"does not pass acceptance; nothing was released\. BIDS: .*holiday\.nii\.gz"):
            release(context, out)

    # A disk that is full: no file may grow beyond 10 kB.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(Reject, match=r"could not be written: File too large\. Nothing was released; make room"):
            release(context, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(context, TASK, out, "Demonstration", KEY, interrupted)
    assert list(out.parent.iterdir()) == []
    with context.pool.connection() as connection:
        assert releases.list_releases(connection) == []

    # What a killed run left is no release, and goes with the next one.
    (out.parent / ".out.part").mkdir()
    (out.parent / ".out.part" / "half").touch()
    release(context, out)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert not (out / "half").exists()
