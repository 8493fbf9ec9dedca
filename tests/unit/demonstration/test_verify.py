"""The stand-in PACS finds what a PACS would trip over: made by the project's own encoder, then damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.answers import answer
from support.ct import as_bytes, blobs, tilted_ct

from services.demonstration.pushed import PushedStudy, own_studies
from services.demonstration.verify import verify_result
from services.errors import SettingsError
from services.results.report import encode_report
from services.results.segmentation import encode_segmentation


@pytest.fixture
def study(tmp_path: Path) -> PushedStudy:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "notes.txt").write_text("not DICOM")
    for number, ds in enumerate(tilted_ct()):
        (incoming / f"{number}").write_bytes(as_bytes(ds))
    counts: list[int] = []
    [study] = own_studies(incoming, tmp_path / "links", counts.append)
    assert counts[-1] == len(study.instances) == 10
    return study


def _problems(ds: Dataset, study: PushedStudy, *more: str) -> list[str]:
    return list(verify_result(ds, study, {*study.instances, *more}))


def test_what_the_encoder_makes_is_right(study: PushedStudy):
    made = answer(tilted_ct(), blobs((10, 64, 64), [1, 3]))
    segmentation = encode_segmentation(made)
    report = encode_report(made, segmentation)
    assert _problems(segmentation, study) == []
    assert _problems(report, study, segmentation.SOPInstanceUID) == []
    assert _problems(report, study) == ["refers to 1 instances that were never sent."]


def _shift(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 0.01


def _straighten(ds: Dataset) -> None:
    groups = ds.SharedFunctionalGroupsSequence[0]
    groups.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def _forget(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (_shift, "frame 2: its position is not its source's."),
        (_straighten, "frame 1: its orientation is not its source's."),
        (_forget, "frame 1 names no source image."),
        (
            lambda ds: setattr(ds, "FrameOfReferenceUID", "2.25.1"),
            "frame 1: its frame of reference is not",
        ),
        (lambda ds: setattr(ds, "StudyInstanceUID", "2.25.1"), "belongs to another study."),
    ],
)
def test_damage_is_named(study: PushedStudy, damage: Callable[[Dataset], None], found: str):
    segmentation = encode_segmentation(answer(tilted_ct(), blobs((10, 64, 64), [1, 3])))
    damage(segmentation)
    assert any(problem.startswith(found) for problem in _problems(segmentation, study))


def test_links_lead_to_the_instances_as_they_are(study: PushedStudy):
    uids = {dcmread(path).SOPInstanceUID for path in study.directory.iterdir()}
    assert uids == set(study.instances)


def test_a_folder_without_dicom_is_refused_by_name(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"DICOM = .*no DICOM instance"):
        own_studies(tmp_path, tmp_path / "links", lambda _: None)
    with pytest.raises(SettingsError, match="no such folder"):
        own_studies(tmp_path / "absent", tmp_path / "links", lambda _: None)
