"""Corrections to and from the PACS: an accepted label goes out as a Segmentation, one that arrives is a reading."""

from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from support.correction import add_workitem
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.masks import viewer_segmentation
from support.triage import add_account

from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger import annotations, workitems
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
    """Headers as a viewer's writer wants them, in the order of the slices."""
    by_uid = {str(header.SOPInstanceUID): header for header in head_instances(small_head(), study=study)}
    headers = [by_uid[uid] for uid in sources.read_grid(context, series_uid).sources]
    for header in headers:
        header.PatientName = "Viewer^Written"
        for keyword in ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
            if keyword not in header:
                setattr(header, keyword, "")
        if "SliceThickness" not in header:
            header.SliceThickness = "5"
    return headers


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
            """INSERT INTO result (analysis_id, kind, sop_class_uid, sop_instance_uid, series_uid, digest, size_bytes)
               VALUES (%s, 'seg', '1.2.840.10008.5.1.4.1.1.66.4', '2.25.4711', '2.25.4712', %s, 1)""",
            [analysis, "0" * 64],
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
    assert len(rows) == 1
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


def test_an_erased_answer_is_no_object_and_the_history_says_so(context: Context, people: dict[str, Account]) -> None:
    study_uid, series_uid, analysis, labels = add_answer(context)
    item = add_workitem(context, study_uid, series_uid, analysis_id=analysis)
    grid = sources.read_grid(context, series_uid)
    workflow.save(context, people["ana"], item, Mask(labels * 0, grid), base_digest=None, tool="test", submit=True)
    workflow.decide(context, people["rex"], item, State.IN_REVIEW)
    workflow.decide(context, people["rex"], item, State.ACCEPTED)
    correct.run(context, item)
    assert "marks nothing" in events(context, "not written")[0]["reason"]


def test_a_segmentation_that_arrives_becomes_the_answers_first_reading(context: Context) -> None:
    _, series_uid, analysis, labels = add_answer(context)
    ordered = images_of(context, series_uid)
    drawn = np.where(labels == 1, 1, 0).astype(np.uint8)
    drawn[4, 30:40, 30:40] = 2
    data = viewer_segmentation(ordered, drawn, ("IPH", "SDH"), ContentCreatorName="Doe^Jane")
    receive(context, [dcmread(BytesIO(data))])
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
