"""Table E.1-1 as data: the same as another library's reading of the standard, and one action for every element."""

import pytest
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as other  # type: ignore[import-untyped]
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from services.datasets.deidentify.table import Action, basic_action, decide

CATEGORIES = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}


def test_every_attribute_has_the_action_that_another_library_read_in_the_same_edition() -> None:
    differences = []
    count = 0
    for name, action in CATEGORIES.items():
        for tag in getattr(other, name):
            if len(tag) == 2:
                count += 1
                found = basic_action(Tag(*tag))
                if found is None or found[0] != action:
                    differences.append((tag, action, found))
    assert not differences
    assert count > 600


@pytest.mark.parametrize("tag", [0x60003000, 0x60020022, 0x60FE4000, 0x50000022, 0x501E3000])
def test_overlays_and_curves_go_in_every_repeating_group(tag: int) -> None:
    assert decide(Tag(tag), "LO", "") is Action.REMOVE


def test_no_attribute_of_the_dictionary_that_can_name_somebody_is_kept_unlooked_at() -> None:
    kept = {
        keyword
        for tag, (vr, _, _, _, keyword) in DicomDictionary.items()
        if vr in ("PN", "LO", "SH", "ST", "LT", "UC", "UT", "UR", "AE", "UN", "OB", "DA", "DT", "AS", "CS", "UI")
        and decide(Tag(tag), vr, keyword) is Action.KEEP
    }
    assert kept == {"SpecificCharacterSet", "CodingSchemeDesignator"}


@pytest.mark.parametrize(
    ("keyword", "action"),
    [
        ("PatientBirthDate", Action.EMPTY),
        ("StudyDate", Action.SHIFT),
        ("SeriesDescription", Action.CLEAN),
        ("SOPInstanceUID", Action.UID),
        ("ReferencedImageSequence", Action.DESCEND),
        ("DeviceSerialNumber", Action.DUMMY),
        ("OperatorsName", Action.DUMMY),
        ("PatientAge", Action.REMOVE),
        ("KVP", Action.NUMBER),
        ("BodyPartExamined", Action.CODE),
        ("ManufacturerModelName", Action.DEVICE),
        ("ContentSequence", Action.REMOVE),
    ],
)
def test_one_action_each(keyword: str, action: Action) -> None:
    tag = Tag(keyword)
    assert decide(tag, dictionary_VR(tag), keyword) is action
