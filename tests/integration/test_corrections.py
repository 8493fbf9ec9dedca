"""Corrections to and from the PACS: an accepted label goes out as a Segmentation, one that arrives is a reading."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.correction import add_workitem
from support.dicomweb import client_of
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.masks import as_a_viewer_reads, viewer_segmentation
from support.triage import add_account, served

from models.prediction import Finding, Urgency
from services.archive_settings import Destination
from services.context import Context
from services.dicomweb.extension import EXTENSION as DICOMWEB
from services.ledger import annotations, deliveries, images, workitems, worklist
from services.ledger.accounts import Account, Role, find_account
from services.ledger.workitems import Slot, State
from services.review import arriving, correct, sources, workflow
from services.review.masks import Mask

pytestmark = pytest.mark.usefixtures("pool")


@pytest.fixture
def people(context: Context) -> dict[str, Account]:
    add_account(context, "ana", Role.ANNOTATOR)
    add_account(context, "rex", Role.REVIEWER)
    with context.pool.connection() as connection:
        connection.execute("UPDATE account SET experienced_since = '2001-01-01'")
        found = {name: find_account(connection, name) for name in ("ana", "rex")}
    return {name: account for name, account in found.items() if account is not None}


def add_answer(context: Context) -> tuple[str, str, int, np.ndarray]:
    study_uid, series_uid = receive(context, head_instances(small_head()))
    labels = np.zeros((14, 128, 128), np.uint8)
    labels[6:9, 50:70, 40:62] = 1
    labels[10, 60:64, 80:90] = 3
    found = (Finding("IPH", 0.9, 31.2, Urgency.IMMEDIATE, 7),)
    return study_uid, series_uid, analyse(context, study_uid, series_uid, labels, found), labels


def images_of(context: Context, series_uid: str, *, study: int = 1) -> list[Dataset]:
    instances = head_instances(small_head(), study=study)
    return as_a_viewer_reads(instances, sources.read_grid(context, series_uid).sources)


def events(context: Context, kind: str) -> list[dict]:
    with context.pool.connection() as connection:
        return [row["detail"] for row in connection.execute("SELECT detail FROM event WHERE kind = %s", [kind])]


def jobs(context: Context, task: str) -> list[int]:
    with context.pool.connection() as connection:
        rows = connection.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = %s ORDER BY id", [task]
        ).fetchall()
    return [row["args"]["identifier"] for row in rows]


def test_an_accepted_label_becomes_an_object_that_names_people_and_predecessor(
    context: Context, people: dict[str, Account]
) -> None:
    study_uid, series_uid, analysis, labels = add_answer(context)
    with context.pool.connection() as connection:
        connection.execute(
            """INSERT INTO result
                   (study_uid, analysis_id, kind, sop_class_uid, sop_instance_uid, series_uid, digest, size_bytes)
               VALUES (%s, %s, 'seg', '1.2.840.10008.5.1.4.1.1.66.4', '2.25.4711', '2.25.4712', %s, 1)""",
            [study_uid, analysis, "0" * 64],
        )
    item = add_workitem(context, study_uid, series_uid, analysis_id=analysis)
    changed = labels.copy()
    changed[5, 52:60, 44:50] = 1
    changed[labels == 3] = 0
    grid = sources.read_grid(context, series_uid)
    with context.pool.connection() as connection:
        loaded = workitems.read(connection, item)
        assert loaded is not None
        base = sources.keep_answer(context, connection, loaded)
    workflow.save(context, people["ana"], item, Mask(changed, grid), base_digest=base, tool="test", submit=True)
    workflow.decide(context, people["rex"], item, State.IN_REVIEW)
    workflow.decide(context, people["rex"], item, State.ACCEPTED)
    assert jobs(context, "correct") == [item]
    for _ in range(2):  # a retry writes the same object
        correct.run(context, item)
    with context.pool.connection() as connection:
        rows = connection.execute("SELECT * FROM result WHERE kind = 'correction'").fetchall()
        reports = connection.execute("SELECT * FROM result WHERE kind = 'correction_sr'").fetchall()
    assert (len(rows), len(reports)) == (1, 1)
    data = context.store.get(rows[0]["digest"])
    dataset = dcmread(BytesIO(data))
    assert list(dataset.OperatorsName) == ["ana", "rex"]
    assert dataset.DerivationDescription == "Corrected by ana (annotator); accepted by rex."
    assert dataset.SourceInstanceSequence[0].ReferencedSOPInstanceUID == "2.25.4711"
    assert dataset.StudyInstanceUID == study_uid
    read = highdicom.seg.segread(BytesIO(data))
    assert read.number_of_segments == 1
    pixels = read.get_pixels_by_source_instance(
        list(grid.sources), combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    assert np.array_equal(pixels, (changed == 1).astype(pixels.dtype))


def sending(context: Context, wanted: dict[str, str]) -> Context:
    """The context with destinations that take one kind of results each."""
    destinations = tuple(
        Destination(name=name, ae_title="PEER", host="127.0.0.1", port=104, results=(kind,))  # type: ignore[arg-type]
        for name, kind in wanted.items()
    )
    return replace(context, settings=context.settings.model_copy(update={"destinations": destinations}))


def accept(context: Context, people: dict[str, Account], item: int, mask: Mask) -> dict[str, Dataset]:
    """Draw and accept a mask; what was written of it, by kind."""
    workflow.save(context, people["ana"], item, mask, base_digest=None, tool="test", submit=True)
    workflow.decide(context, people["rex"], item, State.IN_REVIEW)
    workflow.decide(context, people["rex"], item, State.ACCEPTED)
    correct.run(context, item)
    with context.pool.connection() as connection:
        rows = connection.execute(
            "SELECT kind, digest FROM result WHERE workitem_id = %s AND superseded_at IS NULL", [item]
        ).fetchall()
    return {row["kind"]: dcmread(BytesIO(context.store.get(row["digest"]))) for row in rows}


def test_an_erased_answer_goes_out_as_a_report(context: Context, people: dict[str, Account]) -> None:
    study_uid, series_uid, analysis, labels = add_answer(context)
    item = add_workitem(context, study_uid, series_uid, analysis_id=analysis)
    written = accept(context, people, item, Mask(labels * 0, sources.read_grid(context, series_uid)))
    assert list(written) == ["correction_sr"]
    said = [item.TextValue for item in written["correction_sr"].ContentSequence[-1].ContentSequence]
    assert said[0] == "Nothing was marked. Looked for: IPH, IVH, SDH, EDH, SAH."


def test_a_label_drawn_by_hand_goes_out_and_is_held_and_one_drawn_again_replaces_it(
    context: Context, people: dict[str, Account]
) -> None:
    study_uid, series_uid = receive(context, head_instances(small_head()))
    context = sending(context, {"archive": "seg", "reports": "sr"})
    item = add_workitem(context, study_uid, series_uid)
    grid = sources.read_grid(context, series_uid)
    labels = np.zeros(grid.shape, np.uint8)
    labels[6:9, 50:70, 40:62] = 1
    first = accept(context, people, item, Mask(labels, grid))
    assert set(first) == {"correction", "correction_sr"}
    assert first["correction"].SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    with context.pool.connection() as connection:
        sent = connection.execute(
            "SELECT d.id, d.destination, r.kind FROM delivery d JOIN result r ON r.id = d.result_id ORDER BY d.id"
        ).fetchall()
        held = connection.execute(
            "SELECT sop_instance_uid FROM held_instance WHERE sop_instance_uid = ANY(%s)",
            [[each.SOPInstanceUID for each in first.values()]],
        ).fetchall()
        taken = [deliveries.take(connection, row["id"]) for row in sent]
    with context.pool.connection() as connection:
        record = worklist.read_study(connection, images.key_of(study_uid))
    assert [(row["kind"], row["destination"]) for row in sent] == [
        ("correction", "archive"),
        ("correction_sr", "reports"),
    ]
    assert len(held) == 2
    assert [each.instances[0][0] for each in taken if each] == [
        first["correction"].SOPInstanceUID,
        first["correction_sr"].SOPInstanceUID,
    ]
    assert record is not None
    assert [each.kind for each in record.deliveries] == ["correction", "correction_sr"]

    workflow.decide(context, people["rex"], item, State.IN_REVIEW, "One slice was forgotten.")
    labels[9] = labels[8]
    workflow.grade(context, people["rex"], item, 4)
    workflow.save(context, people["rex"], item, Mask(labels, grid), base_digest=None, tool="test", submit=True)
    workflow.decide(context, people["rex"], item, State.ACCEPTED)
    correct.run(context, item)
    with context.pool.connection() as connection:
        (newest,) = connection.execute(
            "SELECT digest FROM result WHERE kind = 'correction' AND superseded_at IS NULL"
        ).fetchall()
    again = dcmread(BytesIO(context.store.get(newest["digest"])))
    assert again.SourceInstanceSequence[0].ReferencedSOPInstanceUID == first["correction"].SOPInstanceUID
    assert again.SegmentSequence[0].TrackingUID == first["correction"].SegmentSequence[0].TrackingUID


def by_store(context: Context, data: bytes) -> None:
    receive(context, [dcmread(BytesIO(data))])


def by_stow(context: Context, data: bytes) -> None:
    add_account(context, "viewer", Role.SYSTEM)
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    roomy = replace(context, settings=context.settings.model_copy(update={"router": router}))
    with served(roomy, [DICOMWEB]) as running:
        client_of(running.url, "viewer").store_instances([dcmread(BytesIO(data))])


@pytest.mark.parametrize("send", [by_store, by_stow], ids=["C-STORE", "STOW"])
def test_a_segmentation_that_arrives_becomes_the_answers_first_reading(
    context: Context, send: Callable[[Context, bytes], None]
) -> None:
    _, series_uid, analysis, labels = add_answer(context)
    ordered = images_of(context, series_uid)
    drawn = np.where(labels == 1, 1, 0).astype(np.uint8)
    drawn[4, 30:40, 30:40] = 2
    send(context, viewer_segmentation(ordered, drawn, ("IPH", "SDH"), ContentCreatorName="Doe^Jane"))
    (instance,) = jobs(context, "arrive")
    for _ in range(2):
        arriving.run(context, instance)
    assert events(context, "correction refused") == []
    (detail,) = {str(each): each for each in events(context, "correction")}.values()
    with context.pool.connection() as connection:
        (item,) = workitems.of_answer(connection, analysis)
        last = annotations.of_workitem(connection, item.id)[-1]
    assert detail == {"workitem": item.id}
    assert (item.state, item.readings[0].slot, last.author) == (State.ANNOTATED, Slot.A, "Doe Jane")
    mask = sources.get_mask(context.store, last.mask_digest)
    assert np.array_equal(mask.labels, np.where(drawn == 2, 3, drawn))


def test_one_drawn_on_images_without_an_answer_is_their_workitems_reading(
    context: Context, people: dict[str, Account]
) -> None:
    study_uid, series_uid = receive(context, head_instances(small_head()))
    item = add_workitem(context, study_uid, series_uid, holder=None)
    drawn = np.zeros((14, 128, 128), np.uint8)
    drawn[4, 30:40, 30:40] = 1
    ordered = images_of(context, series_uid)
    receive(context, [dcmread(BytesIO(viewer_segmentation(ordered, drawn, ("SDH",), ContentCreatorName="Doe^Jane")))])
    arriving.run(context, jobs(context, "arrive")[-1])
    assert events(context, "correction") == [{"workitem": item}]
    with context.pool.connection() as connection:
        last = annotations.of_workitem(connection, item)[-1]
    assert (last.author, last.submitted, last.unchanged) == ("Doe Jane", True, False)
    assert np.array_equal(sources.get_mask(context.store, last.mask_digest).labels, drawn * 3)

    # Of a label that was accepted and sent, a viewer's edit names a known result; it comes too late, and that is said.
    workflow.decide(context, people["rex"], item, State.IN_REVIEW)
    workflow.decide(context, people["rex"], item, State.ACCEPTED)
    correct.run(context, item)
    with context.pool.connection() as connection:
        (sent,) = connection.execute("SELECT sop_instance_uid FROM result WHERE kind = 'correction'").fetchall()
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = sent["sop_instance_uid"]
    edited = viewer_segmentation(ordered, drawn, ("SDH",), SourceInstanceSequence=[reference])
    receive(context, [dcmread(BytesIO(edited))])
    arriving.run(context, jobs(context, "arrive")[-1])
    assert "workitem is accepted" in events(context, "correction refused")[-1]["reason"]


def test_one_that_cannot_be_taken_says_why_and_one_of_nothing_here_is_left_alone(context: Context) -> None:
    _, series_uid, _, labels = add_answer(context)
    ordered = images_of(context, series_uid)
    strange = viewer_segmentation(ordered, (labels == 1).astype(np.uint8), ("Vessel",))
    receive(context, [dcmread(BytesIO(strange))])
    arriving.run(context, jobs(context, "arrive")[-1])
    assert "Number 1 (Vessel) of the file" in events(context, "correction refused")[0]["reason"]
    _, other = receive(context, head_instances(small_head(), study=2))
    elsewhere = viewer_segmentation(images_of(context, other, study=2), (labels == 1).astype(np.uint8), ("IPH",))
    receive(context, [dcmread(BytesIO(elsewhere))])
    arriving.run(context, jobs(context, "arrive")[-1])
    assert len(events(context, "correction refused")) == 1
    assert events(context, "correction") == []
