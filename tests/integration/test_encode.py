"""The encode stage on a real ledger: a committed answer becomes checked objects and deliveries, once."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from support.answers import LABELS, MODEL
from support.ct import STUDY_UID, as_bytes, blobs, multi_frame, tilted_ct

from models.card import Card
from models.prediction import Urgency
from services.archive_settings import Destination
from services.context import Context
from services.errors import Reject, Retry
from services.ledger.arrays import pack_array
from services.results import encode
from services.results.gate import place

SHAPE = (10, 64, 64)
LIMITS = {"operating_point": {"probability": 0.5, "volume_ml": 0}, "urgency": {"immediate_ml": 1}}
CARD = Card.model_validate(
    {
        "name": MODEL.name,
        "version": MODEL.version,
        "task": "test",
        "intended_use": "test",
        "priority": 1,
        "inputs": [{"role": "NCCT", "modality": "CT"}],
        "labels": [
            {
                "value": label.value,
                "name": label.name,
                "meaning": label.code.meaning,
                "code": {"value": label.code.value, "meaning": label.code.meaning},
                "colour": label.colour,
                **LIMITS,
            }
            for label in LABELS
        ],
        "measures": [
            {
                "name": "midline shift",
                "unit": "mm",
                "meaning": "test",
                "code": {"value": "midline-shift", "scheme": "99NIGHTJAR", "meaning": "Midline shift"},
            }
        ],
        "preprocess": {"spacing_mm": 1, "size": 8, "slab_mm": 5, "window": [0, 1], "centre": 0, "scale": 1},
        "tolerance": 0.1,
        "weights": {"file": "none", "sha256": MODEL.weights_digest},
        "limits": [],
        "measured": [],
    }
)
DESTINATIONS = (
    Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=1),
    Destination(name="reports", ae_title="PACS", host="127.0.0.1", port=2, results=("sr",)),
)


@pytest.fixture
def context(context: Context, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(encode, "load_card", lambda name: CARD)
    return replace(context, settings=context.settings.model_copy(update={"destinations": DESTINATIONS}))


def _receive(context: Context, datasets: list[Dataset]) -> None:
    """Instances as the listener leaves them, in an order that is not the slices'."""
    with context.pool.connection() as connection:
        connection.execute("INSERT INTO study (study_uid) VALUES (%s) ON CONFLICT DO NOTHING", [STUDY_UID])
        connection.execute(
            "INSERT INTO series (series_uid, study_uid) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [datasets[0].SeriesInstanceUID, STUDY_UID],
        )
        for dataset in [*datasets[1::2], *datasets[::2]]:
            data = as_bytes(dataset)
            connection.execute(
                """INSERT INTO instance (sop_instance_uid, sop_class_uid, transfer_syntax_uid, series_uid, study_uid,
                       digest, size_bytes) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                [
                    dataset.SOPInstanceUID,
                    dataset.SOPClassUID,
                    dataset.file_meta.TransferSyntaxUID,
                    dataset.SeriesInstanceUID,
                    STUDY_UID,
                    context.store.put(data),
                    len(data),
                ],
            )


def _analyse(
    context: Context, datasets: list[Dataset], labels: list[int], *, digest: str = "12" * 32, error_ml: float = 0.0
) -> int:
    """An analysis as the infer stage leaves it, the study in its end state."""
    segmentation = blobs(SHAPE, labels)
    grid = place(datasets)
    with context.pool.connection() as connection:
        row = connection.execute(
            """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
               VALUES (%s, %s, %s, %s, %s, %s) RETURNING id""",
            [
                STUDY_UID,
                MODEL.name,
                MODEL.version,
                MODEL.weights_digest,
                Jsonb({"NCCT": datasets[0].SeriesInstanceUID}),
                digest,
            ],
        ).fetchone()
        assert row is not None
        analysis_id: int = row["id"]
        connection.execute("UPDATE study SET state = 'analysing' WHERE state = 'receiving'")
        connection.execute("UPDATE analysis SET state = 'running' WHERE id = %s", [analysis_id])
        connection.execute(
            """UPDATE analysis SET state = 'analysed', urgency = %s, parameters = %s, segmentation_key = %s,
                   analysed_at = clock_timestamp() WHERE id = %s""",
            [
                Urgency.IMMEDIATE,
                Jsonb({"threshold": 0.5}),
                context.store.put(pack_array(segmentation)),
                analysis_id,
            ],
        )
        connection.execute("UPDATE study SET state = 'analysed', urgency = 1 WHERE state = 'analysing'")
        for label in LABELS:
            mask = segmentation == label.value
            if mask.any():
                connection.execute(
                    """INSERT INTO finding (analysis_id, label, probability, volume_ml, urgency, key_slice)
                       VALUES (%s, %s, 0.9, %s, 1, %s)""",
                    [
                        analysis_id,
                        label.name,
                        grid.measure_ml(mask) + error_ml,
                        int(mask.any((1, 2)).argmax()),
                    ],
                )
    return analysis_id


def _all(context: Context, query: str, *values: object) -> list[dict[str, Any]]:
    with context.pool.connection() as connection:
        return connection.execute(query.encode(), values).fetchall()


def test_an_answer_becomes_results_and_deliveries_once(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [1, 3])

    encode.run(context, analysis_id)
    first = _all(context, "SELECT * FROM result ORDER BY id")
    encode.run(context, analysis_id)

    assert _all(context, "SELECT * FROM result ORDER BY id") == first
    assert [row["kind"] for row in first] == ["seg", "sr"]
    for row in first:
        read = dcmread(BytesIO(context.store.get(row["digest"])))
        assert (read.SOPInstanceUID, read.SOPClassUID) == (row["sop_instance_uid"], row["sop_class_uid"])
        assert read.StudyInstanceUID == STUDY_UID
        assert len(context.store.get(row["digest"])) == row["size_bytes"]
    deliveries = _all(
        context,
        "SELECT d.id, d.destination, d.state, r.kind FROM delivery d JOIN result r ON r.id = d.result_id ORDER BY d.id",
    )
    assert [(row["destination"], row["kind"], row["state"]) for row in deliveries] == [
        ("pacs", "seg", "pending"),
        ("pacs", "sr", "pending"),
        ("reports", "sr", "pending"),
    ]
    jobs = _all(context, "SELECT args, priority FROM procrastinate_jobs WHERE task_name = 'deliver' ORDER BY id")
    assert [job["args"]["identifier"] for job in jobs] == [row["id"] for row in deliveries]
    assert {job["priority"] for job in jobs} == {9}
    assert _all(context, "SELECT encoded_at FROM analysis")[0]["encoded_at"] is not None


def test_a_multi_frame_image_gets_results_that_name_its_frames(context: Context) -> None:
    slices = tilted_ct()
    _receive(context, [multi_frame(slices[::-1])])
    analysis_id = _analyse(context, slices, [1])

    encode.run(context, analysis_id)

    digest = _all(context, "SELECT digest FROM result WHERE kind = 'seg'")[0]["digest"]
    read = dcmread(BytesIO(context.store.get(digest)))
    items = [each.DerivationImageSequence[0].SourceImageSequence[0] for each in read.PerFrameFunctionalGroupsSequence]
    assert {item.ReferencedSOPInstanceUID for item in items} == {multi_frame(slices[::-1]).SOPInstanceUID}
    assert {int(item.ReferencedFrameNumber) for item in items} == {8, 9, 10}  # the first three slices come last


def test_who_wants_pictures_gets_one_a_key_slice(context: Context) -> None:
    pictures = Destination(name="old-pacs", ae_title="OLD", host="127.0.0.1", port=3, results=("sc",))
    settings = context.settings.model_copy(update={"destinations": (*DESTINATIONS, pictures)})
    context = replace(context, settings=settings)
    datasets = tilted_ct()
    _receive(context, datasets)

    encode.run(context, _analyse(context, datasets, [1, 3]))

    rows = _all(context, "SELECT id, digest, sop_class_uid FROM result WHERE kind = 'sc' ORDER BY id")
    captures = [dcmread(BytesIO(context.store.get(row["digest"]))) for row in rows]
    shown = [capture.SourceImageSequence[0].ReferencedSOPInstanceUID for capture in captures]
    assert shown == [datasets[0].SOPInstanceUID, datasets[1].SOPInstanceUID]
    deliveries = _all(context, "SELECT result_id FROM delivery WHERE destination = 'old-pacs' ORDER BY id")
    assert [row["result_id"] for row in deliveries] == [row["id"] for row in rows]


def test_what_was_measured_reaches_the_report(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [1])
    with context.pool.connection() as connection:
        connection.execute(
            "UPDATE finding SET volume_low_ml = volume_ml - 1.5, volume_high_ml = volume_ml + 2.5, abc2_ml = 17.25"
        )
        connection.execute("UPDATE analysis SET measurements = %s", [Jsonb({"midline shift": 4.125})])

    encode.run(context, analysis_id)

    digest = _all(context, "SELECT digest FROM result WHERE kind = 'sr'")[0]["digest"]
    found: dict[str, float] = {}

    def collect(item: Dataset) -> None:
        for child in item.get("ContentSequence", ()):
            if child.ValueType == "NUM":
                code = child.ConceptNameCodeSequence[0].CodeMeaning
                found[code] = float(child.MeasuredValueSequence[0].NumericValue)
            collect(child)

    collect(dcmread(BytesIO(context.store.get(digest))))
    assert found["-, range of lower measurement uncertainty"] == pytest.approx(1.5, abs=1e-3)
    assert found["+, range of upper measurement uncertainty"] == pytest.approx(2.5, abs=1e-3)
    assert (found["Volume of ellipsoid"], found["Midline shift"]) == (17.25, 4.125)


def test_a_measurement_that_the_card_does_not_describe_is_no_report(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [1])
    with context.pool.connection() as connection:
        connection.execute("UPDATE analysis SET measurements = %s", [Jsonb({"shoe size": 43})])

    with pytest.raises(Reject, match="does not describe the measurement shoe size"):
        encode.run(context, analysis_id)


def test_no_flag_is_a_report_and_no_segmentation(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)

    encode.run(context, _analyse(context, datasets, []))

    assert [row["kind"] for row in _all(context, "SELECT kind FROM result")] == ["sr"]


def test_a_worker_that_died_before_the_commit_left_nothing_twice(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [2])
    encode.run(context, analysis_id)
    before = _all(context, "SELECT kind, sop_instance_uid, digest FROM result ORDER BY kind")
    with context.pool.connection() as connection:
        connection.execute("DELETE FROM delivery")
        connection.execute("DELETE FROM result")
        connection.execute("UPDATE analysis SET encoded_at = NULL")

    encode.run(context, analysis_id)

    assert _all(context, "SELECT kind, sop_instance_uid, digest FROM result ORDER BY kind") == before


def test_a_newer_analysis_replaces_the_older_ones_results(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    older = _analyse(context, datasets, [1])
    encode.run(context, older)
    delivered = _all(
        context,
        """UPDATE delivery SET state = 'delivered' WHERE destination = 'reports'
           RETURNING (SELECT sop_instance_uid FROM result WHERE result.id = result_id) AS uid""",
    )[0]["uid"]
    newer = _analyse(context, datasets, [1, 2], digest="34" * 32)

    encode.run(context, newer)

    rows = _all(context, "SELECT analysis_id, superseded_at IS NULL AS current FROM result")
    assert {(row["analysis_id"], row["current"]) for row in rows} == {(older, False), (newer, True)}
    states = _all(
        context,
        """SELECT r.analysis_id, d.destination, d.state FROM delivery d JOIN result r ON r.id = d.result_id
           WHERE r.analysis_id = %s ORDER BY d.id""",
        older,
    )
    assert [row["state"] for row in states] == ["cancelled", "cancelled", "delivered"]
    report = _all(context, "SELECT digest FROM result WHERE analysis_id = %s AND kind = 'sr'", newer)[0]
    document = dcmread(BytesIO(context.store.get(report["digest"]))).PredecessorDocumentsSequence[0]
    assert document.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == delivered


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_superseded_analysis_is_left_alone(context: Context, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [1])

    def supersede() -> None:
        with context.pool.connection() as connection:
            connection.execute("UPDATE analysis SET state = 'superseded'")

    if when == "before":
        supersede()
    else:
        write = encode.encode
        monkeypatch.setattr(encode, "encode", lambda answer: (supersede(), write(answer))[1])

    encode.run(context, analysis_id)

    assert _all(context, "SELECT * FROM result") == []
    assert _all(context, "SELECT * FROM delivery") == []


def test_what_the_gate_stops_fails_visibly_and_keeps_its_flag(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [1], error_ml=3.0)

    with pytest.raises(Reject, match="output gate") as raised:
        encode.run(context, analysis_id)
    encode.give_up(context, analysis_id, str(raised.value))

    assert _all(context, "SELECT * FROM result") == []
    study = _all(context, "SELECT state, reason, urgency FROM study")[0]
    assert (study["state"], study["urgency"]) == ("failed", 1)
    assert "output gate" in study["reason"]
    assert len(_all(context, "SELECT * FROM finding")) == 1


def test_what_cannot_be_written_is_rejected_without_patient_data(context: Context) -> None:
    datasets = tilted_ct()
    with disable_value_validation():
        for dataset in datasets:
            del dataset.FrameOfReferenceUID
            dataset.PatientID = "SECRET"
    _receive(context, datasets)

    with pytest.raises(Reject, match="cannot be written as DICOM") as raised:
        encode.run(context, _analyse(context, datasets, [1]))
    assert "SECRET" not in str(raised.value)


def test_missing_bytes_are_waited_for(context: Context) -> None:
    datasets = tilted_ct()
    _receive(context, datasets)
    analysis_id = _analyse(context, datasets, [1])
    with context.pool.connection() as connection:
        connection.execute("UPDATE analysis SET segmentation_key = %s", ["0" * 64])

    with pytest.raises(Retry, match="answer is not in the store"):
        encode.run(context, analysis_id)
