"""Series acquired with fewer phase-encoding lines: seen in the header, given a second role, each run for itself."""

from typing import Any

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, MRImageStorage
from support.enhanced_mr import enhanced_mr
from support.instances import ct, encoded

from dicom_router.decide import decide
from dicom_router.header import read_header
from dicom_router.rules import load_rules
from dicom_router.traits import traits_of
from models.dicom import read_series
from models.functional_groups import classic_mr
from models.phase import phase_encoding_of
from services.ledger.routing import SeriesRow
from services.ledger.served_models import ServedModel

RULES = load_rules(None)
ENHANCE = ServedModel("enhance", "1", "w", ("REDUCED",), (), 10)
AIS = ServedModel("ais", "1", "w", ("DWI", "ADC"), ("FLAIR",), 20)
CUT = {
    "InPlanePhaseEncodingDirection": "ROW",
    "AcquisitionMatrix": [16, 0, 0, 11],
    "ImageType": ["ORIGINAL", "PRIMARY"],
}


def _series(uid: str, description: str, state: str = "complete", **attributes: Any) -> SeriesRow:
    return SeriesRow(
        series_uid=uid,
        state=state,
        reason=None,
        modality="MR",
        description=description,
        body_part="HEAD",
        study_description=None,
        sending_ae=None,
        instances=24,
        slices=24,
        b_value_max=None,
        attributes={"Rows": 16, "Columns": 16, "PixelSpacing": [1, 1], **attributes},
    )


@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize(
    ("changes", "percent"),
    [
        ({"InPlanePhaseEncodingDirection": "ROW", "AcquisitionMatrix": [16, 0, 0, 11]}, 68.75),
        ({"InPlanePhaseEncodingDirection": "COL", "AcquisitionMatrix": [0, 16, 12, 0]}, 75),
        # Fewer lines over a smaller field of view, in an image padded to a square: nothing was cut.
        (
            {
                "InPlanePhaseEncodingDirection": "COL",
                "AcquisitionMatrix": [0, 16, 12, 0],
                "PercentPhaseFieldOfView": 75,
            },
            100,
        ),
        ({"InPlanePhaseEncodingDirection": "ROW", "AcquisitionMatrix": [12, 0, 0, 8], "PercentSampling": 90}, 66.67),
        ({"InPlanePhaseEncodingDirection": "ROW", "PercentSampling": 67}, 67),
        ({"AcquisitionMatrix": [16, 0, 0, 11]}, None),
        ({"InPlanePhaseEncodingDirection": "ROW", "AcquisitionMatrix": [0, 0, 0, 0]}, None),
    ],
)
def test_router_and_model_read_the_same_resolution(
    changes: dict[str, Any], percent: float | None, *, little_endian: bool
) -> None:
    dataset = ct(0, size=16, SOPClassUID=MRImageStorage, Modality="MR", PixelSpacing=[1, 1], **changes)
    syntax = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    header = read_header(encoded(dataset, little_endian=little_endian), syntax)
    row = _series("1", "t2", **header.series_attributes)
    expected = None if percent is None else pytest.approx(percent, rel=1e-3)
    assert traits_of(row).numbers["phase_resolution_percent"] == expected
    encoding = phase_encoding_of(dataset)
    assert (None if encoding is None else 100 * encoding.fraction) == expected


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize(("direction", "matrix"), [("ROW", [16, 0, 0, 11]), ("COL", [0, 16, 11, 0])])
def test_frames_say_the_same_in_functional_groups(direction: str, matrix: list[int], *, per_frame: bool) -> None:
    said: dict[str, Any] = {
        "InPlanePhaseEncodingDirection": direction, "AcquisitionMatrix": matrix, "PercentSampling": 68.75,
        "PercentPhaseFieldOfView": 100, "RepetitionTime": 4000, "EchoTime": 90.5, "InversionTime": 1200,
        "FlipAngle": 120, "EchoTrainLength": 8, "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK"],
    }  # fmt: skip
    images = [ct(k, size=16, SOPClassUID=MRImageStorage, Modality="MR", PixelSpacing=[1, 1], **said) for k in range(3)]
    enhanced = enhanced_mr(images, per_frame=per_frame)
    frame = classic_mr(enhanced, 2)
    assert {keyword: frame[keyword].value for keyword in said if keyword != "SequenceVariant"} == {
        keyword: images[0][keyword].value for keyword in said if keyword != "SequenceVariant"
    }
    assert frame.SequenceVariant == "SK"
    encoding = read_series([enhanced]).encoding
    assert encoding == phase_encoding_of(images[0])
    assert encoding is not None
    header = read_header(encoded(enhanced), ExplicitVRLittleEndian)
    row = _series("1", "t2", **header.series_attributes)
    assert traits_of(row).numbers["phase_resolution_percent"] == pytest.approx(68.75)


def test_a_series_keeps_its_role_and_is_completed_beside_it() -> None:
    series = [
        _series("t2", "t2_tse_tra", **CUT),
        _series("flair", "FLAIR", **CUT),
        _series("t1", "t1_se"),
        _series("dwi", "DWI b1000"),
        _series("adc", "ADC"),
    ]
    decision = decide(series, RULES, [AIS, ENHANCE])
    assert sorted((run.model.name, sorted(run.inputs.items())) for run in decision.runs) == [
        ("ais", [("ADC", "adc"), ("DWI", "dwi"), ("FLAIR", "flair")]),
        ("enhance", [("REDUCED", "flair")]),
        ("enhance", [("REDUCED", "t2")]),
    ]
    assert decision.roles["flair"].role == "FLAIR"
    assert "Chosen for FLAIR." in decision.reasons["flair"]
    assert "rule mr-phase-encoding-cut" in decision.reasons["flair"]
    assert decision.reasons["flair"].endswith("Chosen for REDUCED.")
    assert "REDUCED" not in decision.reasons["t1"]


def test_what_is_whole_diffusion_or_made_from_another_is_not_completed() -> None:
    whole = CUT | {"AcquisitionMatrix": [16, 0, 0, 15]}
    derived = CUT | {"ImageType": ["DERIVED", "SECONDARY", "OTHER"]}
    series = [_series("a", "t2", **whole), _series("b", "t2", **derived), _series("c", "DWI b1000", **CUT)]
    assert not decide(series, RULES, [ENHANCE]).runs


def test_one_still_arriving_does_not_hold_up_the_others() -> None:
    series = [_series("a", "t2", **CUT), _series("b", "FLAIR", state="receiving", **CUT)]
    decision = decide(series, RULES, [ENHANCE])
    assert [dict(run.inputs) for run in decision.runs] == [{"REDUCED": "a"}]
    assert decision.waiting
