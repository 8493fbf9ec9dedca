from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from support.answers import MEASUREMENTS, answer
from support.ct import as_bytes, blobs, multi_frame, tilted_ct

from models.card import CHOICE, SIGN
from models.prediction import Finding, Urgency
from services.errors import Reject
from services.results.answer import NOTICE, Concept, Predecessor, StudyMeasurement
from services.results.encode import encode, evidence_of
from services.results.equipment import part10
from services.results.gate import check_results
from services.results.report import encode_report
from services.results.segmentation import encode_segmentation

SHAPE = (10, 64, 64)


def _texts(item: Dataset) -> list[str]:
    own = [item.TextValue] if item.get("ValueType") == "TEXT" else []
    return own + [text for child in item.get("ContentSequence", ()) for text in _texts(child)]


def _values(item: Dataset) -> list[str]:
    own = [code.CodeMeaning for code in item.get("ConceptCodeSequence", ())]
    return own + [value for child in item.get("ContentSequence", ()) for value in _values(child)]


def test_no_finding_is_said_in_words_and_never_as_negative() -> None:
    made = answer(tilted_ct(), blobs(SHAPE, []))

    assert encode_segmentation(made) is None
    report = encode_report(made, None)

    check_results(made, None, part10(report))
    words = " ".join(_texts(report) + _values(report) + [report.SeriesDescription]).lower()
    assert "no flag raised" in words
    assert NOTICE.lower() in words
    assert not any(word in words for word in ("normal", "negative", "excluded", "no bleed", "no hemorrhage"))


def test_a_finding_without_voxels_refers_to_its_key_image() -> None:
    made = replace(
        answer(tilted_ct(), np.zeros(SHAPE, dtype=np.uint8)),
        findings=(Finding("SAH", 0.71, 0.0, Urgency.URGENT, 4),),
        urgency=Urgency.URGENT,
    )

    report = encode_report(made, None)

    check_results(made, None, part10(report))
    assert "Urgent" in _values(report)
    measurements = report.ContentSequence[-2].ContentSequence[0]
    images = [item for item in measurements.ContentSequence if item.ValueType == "IMAGE"]
    assert [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in images] == [
        made.sources[4].SOPInstanceUID
    ]


def test_the_key_image_of_a_multi_frame_image_is_a_frame() -> None:
    image = multi_frame(tilted_ct()[::-1])
    made = replace(
        answer([image], np.zeros(SHAPE, dtype=np.uint8)),
        findings=(Finding("SAH", 0.71, 0.0, Urgency.URGENT, 4),),
        urgency=Urgency.URGENT,
    )
    report = encode_report(made, None)
    check_results(made, None, part10(report))
    measurements = report.ContentSequence[-2].ContentSequence[0]
    [item] = [item for item in measurements.ContentSequence if item.ValueType == "IMAGE"]
    assert item.ReferencedSOPSequence[0].ReferencedFrameNumber == 6
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert [each.ReferencedSOPInstanceUID for each in evidence] == [image.SOPInstanceUID]


def _named(item: Dataset, meaning: str) -> list[Dataset]:
    own = [item] if meaning in [code.CodeMeaning for code in item.get("ConceptNameCodeSequence", ())] else []
    return own + [found for child in item.get("ContentSequence", ()) for found in _named(child, meaning)]


def _measured(item: Dataset) -> tuple[float, str]:
    value = item.MeasuredValueSequence[0]
    return float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue


def test_volume_range_abc2_and_measurements_of_the_study_come_back_in_their_units() -> None:
    made = answer(tilted_ct(), blobs(SHAPE, [1, 3]), measured=True)

    report = dcmread(BytesIO(encode(made)["sr"][1]))

    volumes = _named(report, "Volume")
    assert [_measured(volume)[0] for volume in volumes] == pytest.approx(
        [finding.volume_ml for finding in made.findings], abs=1e-3
    )
    for volume, finding in zip(volumes, made.findings, strict=True):
        assert finding.volume_range_ml is not None
        low, high = finding.volume_range_ml
        [lower], [upper] = (
            _named(volume, f"{sign}, range of {side} measurement uncertainty")
            for sign, side in (("-", "lower"), ("+", "upper"))
        )
        assert _measured(lower) == (pytest.approx(finding.volume_ml - low, abs=1e-3), "mL")
        assert _measured(upper) == (pytest.approx(high - finding.volume_ml, abs=1e-3), "mL")
    [abc2] = _named(report, "Volume of ellipsoid")
    assert _measured(abc2) == (pytest.approx(1.1 * made.findings[0].volume_ml, abs=1e-3), "mL")
    assert [code.CodeMeaning for code in abc2.ContentSequence[0].ConceptCodeSequence] == ["ABC/2"]
    assert [_measured(item) for item in _named(report, "Midline shift")] == [(6.25, "mm")]
    assert [_measured(item) for item in _named(report, "Volume of lateral ventricles")] == [(31.5, "mL")]


@pytest.mark.parametrize(("labels", "measured", "own"), [([1], True, True), ([1], False, False), ([], False, True)])
def test_the_coding_scheme_is_named_where_a_code_of_ours_is_used(labels: list[int], measured: bool, own: bool) -> None:
    report = dcmread(BytesIO(encode(answer(tilted_ct(), blobs(SHAPE, labels), measured=measured))["sr"][1]))

    named = [item.CodingSchemeDesignator for item in report.get("CodingSchemeIdentificationSequence", ())]
    assert ("99NIGHTJAR" in named) == own


def test_a_report_names_the_one_it_replaces() -> None:
    earlier = Predecessor("2.25.10", "2.25.11", "1.2.840.10008.5.1.4.1.1.88.33", "2.25.12")
    made = answer(tilted_ct(), blobs(SHAPE, []), predecessors=(earlier,))

    report = dcmread(BytesIO(part10(encode_report(made, None))))

    document = report.PredecessorDocumentsSequence[0]
    assert document.StudyInstanceUID == earlier.study_uid
    series = document.ReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == earlier.series_uid
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == earlier.sop_instance_uid


@pytest.mark.parametrize("labels", [[], [1, 2, 3, 4, 5]])
def test_a_retry_writes_the_same_bytes(labels: list[int]) -> None:
    made, again = (answer(tilted_ct(), blobs(SHAPE, labels)) for _ in range(2))

    first, second = encode_segmentation(made), encode_segmentation(again)

    assert part10(encode_report(made, first)) == part10(encode_report(again, second))
    if first is not None and second is not None:
        assert part10(first) == part10(second)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 192", "Мария"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 6", "Plain"),
    ],
)
def test_names_in_any_script_come_through(character_set: str | list[str], name: str) -> None:
    datasets = tilted_ct(name=name)
    for dataset in datasets:
        dataset.SpecificCharacterSet = character_set
    received = [dcmread(BytesIO(as_bytes(dataset))) for dataset in datasets]

    written = encode(answer(received, blobs(SHAPE, [1])))

    for _, data in written.values():
        read = dcmread(BytesIO(data))
        assert str(read.PatientName) == name
        assert read["SpecificCharacterSet"] == received[0]["SpecificCharacterSet"]


def test_what_the_standard_does_not_allow_goes_on_without_being_quoted() -> None:
    datasets = tilted_ct(name="OneComponent")
    with disable_value_validation():
        for dataset in datasets:
            del dataset.PatientID
            dataset.PatientID = "X" * 70

    written = encode(answer(datasets, blobs(SHAPE, [1])))  # a warning would end this test

    with disable_value_validation():
        assert {dcmread(BytesIO(data)).PatientID for _, data in written.values()} == {"X" * 70}


def test_the_images_of_further_inputs_are_evidence_but_not_sources_of_voxels() -> None:
    series = tilted_ct()
    other = tilted_ct(seed=8)  # of the same study, as an ADC map beside its DWI
    made = replace(
        answer(series, blobs(SHAPE, [1])), further=tuple(evidence_of([dcmread(BytesIO(as_bytes(d))) for d in other]))
    )
    encoded = encode(made)

    [study] = encoded["sr"][0].CurrentRequestedProcedureEvidenceSequence
    evidence = {item.SeriesInstanceUID: len(item.ReferencedSOPSequence) for item in study.ReferencedSeriesSequence}
    assert evidence[other[0].SeriesInstanceUID] == len(other)
    library = next(item for item in encoded["sr"][0].ContentSequence if item.ValueType == "CONTAINER")
    assert len(library.ContentSequence) == 2
    [sources] = encoded["seg"][0].ReferencedSeriesSequence
    assert sources.SeriesInstanceUID == series[0].SeriesInstanceUID
    with pytest.raises(Reject, match="not in the report's evidence"):
        check_results(made, encoded["seg"][1], part10(encode_report(replace(made, further=()), encoded["seg"][0])))


def test_a_sign_is_an_evaluation_and_no_number() -> None:
    sign = StudyMeasurement("mismatch", Concept("DWIFLAIRMISMATCH", "99NIGHTJAR", "DWI-FLAIR mismatch sign"), 1, SIGN)
    made = answer(tilted_ct(), blobs(SHAPE, [1]))
    made = replace(made, measurements=(sign, *MEASUREMENTS))
    report = encode(made)["sr"][0]
    assert "Present" in _values(report)
    absent = encode_report(replace(made, measurements=(replace(sign, value=0), *MEASUREMENTS)), encode(made)["seg"][0])
    with pytest.raises(Reject, match="the measurement mismatch another value"):
        check_results(made, encode(made)["seg"][1], part10(absent))


def test_a_choice_is_an_evaluation_and_a_measurement_names_its_own_site() -> None:
    artery = Concept("17232002", "SCT", "Middle cerebral artery")
    main = StudyMeasurement("main", Concept("MAINTERRITORY", "99NIGHTJAR", "Main territory"), 2, CHOICE, answer=artery)
    share = StudyMeasurement("share", Concept("COREMCA", "99NIGHTJAR", "Share"), 80, "%", site=artery)
    made = replace(answer(tilted_ct(), blobs(SHAPE, [1])), measurements=(main, share, *MEASUREMENTS))
    segmentation, report = encode(made)["seg"], encode(made)["sr"][0]
    [chosen], [taken] = _named(report, "Main territory"), _named(report, "Share")
    assert chosen.ConceptCodeSequence[0].CodeValue == artery.value
    assert float(taken.MeasuredValueSequence[0].NumericValue) == 80
    assert taken.ContentSequence[0].ConceptCodeSequence[0].CodeValue == artery.value
    for changed, why in (
        (replace(main, answer=Concept("60176003", "SCT", "Anterior cerebral artery")), "main another value"),
        (replace(share, site=None), "share another place"),
    ):
        others = tuple(one for one in made.measurements if one.name != changed.name)
        other = encode_report(replace(made, measurements=(changed, *others)), segmentation[0])
        with pytest.raises(Reject, match=why):
            check_results(made, segmentation[1], part10(other))
