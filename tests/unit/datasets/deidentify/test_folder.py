"""A folder in, a new folder out: whole or not at all, what cannot be made safe held with its reason."""

import json
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.instances import ct, write

from services.datasets.deidentify import folder as module
from services.datasets.deidentify.folder import Report, deidentify_folder
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.errors import Reject, SettingsError

KEY = Pseudonyms(b"k" * 32)


def chest(index: int = 0, **values: Any) -> Dataset:
    """A CT instance that shows no head."""
    return ct(
        index, **{"BodyPartExamined": "CHEST", "StudyDescription": "Thorax", "SeriesDescription": "axial", **values}
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "Test_Müller_1958"
    path.mkdir()
    return path


def run(source: Path) -> tuple[Report, Path]:
    target = source.parent / "out"
    return deidentify_folder(source, target, KEY), target


def test_objects_keep_their_bonds_under_new_names(source: Path) -> None:
    for index in range(3):
        write(chest(index), source / f"Müller{index}.dcm")
    report, target = run(source)
    files = sorted(target.rglob("*.dcm"))
    read = [pydicom.dcmread(file) for file in files]
    assert report.objects == 3
    assert {str(each.PatientID) for each in read} == {files[0].parts[-4]}
    assert len({each.StudyInstanceUID for each in read} | {each.SeriesInstanceUID for each in read}) == 2
    assert {each.file_meta.MediaStorageSOPInstanceUID for each in read} == {each.SOPInstanceUID for each in read}
    assert "ller" not in "".join(map(str, target.rglob("*"))) + (target / "report.json").read_text()
    again = deidentify_folder(source, source.parent / "again", KEY)
    assert again.as_dict() == report.as_dict()
    for file in files:
        assert (source.parent / "again" / file.relative_to(target)).read_bytes() == file.read_bytes()


def test_the_report_counts_every_action(source: Path) -> None:
    write(chest(), source / "a.dcm")
    report, target = run(source)
    content = json.loads((target / "report.json").read_text())
    assert sum(content["actions"].values()) == sum(report.actions.values())
    assert content["attributes"]["SOPInstanceUID"] == {"UID replaced": 1}
    assert content["attributes"]["SliceThickness"] == {"kept": 1}
    assert sum(count for kinds in content["attributes"].values() for count in kinds.values()) == sum(
        content["actions"].values()
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen"),
        ({"BurnedInAnnotation": "YES"}, "none was found"),
        ({"Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "MOSAIC"]}, "mosaic"),
        ({"ConversionType": "SD"}, "scanned document"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "capture that does not say"),
        ({"Modality": "ES"}, "capture that does not say"),
        ({"Modality": "XC", "BurnedInAnnotation": "NO"}, "photograph"),
        ({"Modality": "RF", "LossyImageCompression": "01"}, "with loss"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"}, "where its image ends"),
        ({"PixelData": None}, "no image"),
        ({"PixelData": b"\0\0"}, "end early"),
        ({"PhotometricInterpretation": "YBR_FULL_422"}, "colours"),
        ({"HighBit": 14}, "layout"),
        ({"BodyPartExamined": "HEAD"}, "head"),
    ],
)
def test_what_cannot_be_made_safe_is_held(source: Path, values: dict[str, Any], reason: str) -> None:
    write(chest(0), source / "good.dcm")
    write(chest(1, series=2, **values), source / "held.dcm")
    report, target = run(source)
    assert [(path.name, reason in why) for path, why in report.held] == [("held.dcm", True)]
    assert len(list(target.rglob("*.dcm"))) == 1
    assert "held.dcm" in (target.parent / "out.held.csv").read_text()


def test_a_study_of_two_patients_and_two_objects_of_one_uid_are_held(source: Path) -> None:
    write(chest(0), source / "one.dcm")
    write(chest(1, PatientID="T2"), source / "two.dcm")
    write(chest(0, study=2), source / "three.dcm")
    write(chest(0, study=2, KVP="100"), source / "four.dcm")
    write(chest(0, study=3), source / "five.dcm")
    write(chest(0, study=3), source / "five again.dcm")
    report, _ = run(source)
    assert (report.objects, report.doubles) == (1, 1)
    assert {why for _, why in report.held} == {
        "Its study names two patients.",
        "Another object has the same SOP Instance UID and other content.",
    }


def test_nothing_is_released_when_nothing_is_left_or_writing_fails(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "notes.txt").write_text("no image")
    with pytest.raises(Reject, match="Nothing was left"):
        run(source)
    write(chest(), source / "a.dcm")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.json, "dumps", full)
    with pytest.raises(Reject, match="No space left on device"):
        run(source)
    assert sorted(path.name for path in source.parent.iterdir()) == [source.name]


def test_a_folder_that_exists_or_lies_in_the_source_is_refused(source: Path) -> None:
    with pytest.raises(SettingsError, match="lies inside"):
        deidentify_folder(source, source / "out", KEY)
    (source.parent / "out").mkdir()
    with pytest.raises(SettingsError, match="exists"):
        run(source)
