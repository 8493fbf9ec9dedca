"""The demonstration's readers go the whole way through the review, and a dataset with its report comes out."""

from pathlib import Path

from support.heads import head_instances, small_head
from support.images import analyse, receive

from models.prediction import Finding, Urgency
from services.context import Context
from services.datasets.release.checking import check_release
from services.demonstration.display import Display
from services.demonstration.releasing import TASK, readers_twice, release
from services.ledger import workitems
from services.ledger.accepted import list_accepted
from services.ledger.workitems import Cause, NewWorkitem
from services.review.tasks import find_task, load_tasks


def test_two_readers_and_a_reviewer_lead_to_a_release(context: Context, tmp_path: Path) -> None:
    scanned = small_head(("IPH", 20.0), seed=4, tilt_deg=0.0)
    study_uid, series_uid = receive(context, head_instances(scanned))
    finding = Finding("IPH", 0.9, 20.0, Urgency.URGENT, 3)
    analysis = analyse(context, study_uid, series_uid, scanned.labels, [finding])
    with context.pool.connection() as connection:
        new = NewWorkitem(study_uid, series_uid, TASK, Cause.FLAG, analysis_id=analysis, readers=2)
        assert workitems.create(connection, new) is not None

    released = release(context.settings, tmp_path, [study_uid], Display())

    assert released.report == tmp_path / "dataset" / "quality.html", released.reason
    assert released.cases == 1
    assert all(not check.problems for check in check_release(tmp_path / "dataset"))
    with context.pool.connection() as connection:
        [label] = list_accepted(connection, TASK)
    assert {slot for slot, _, _ in label.people} == {"A", "B"}
    [agreed] = label.agreement
    assert 0.8 < (agreed.dice or 0) < 1
    assert agreed.first_ml > agreed.second_ml


def test_its_task_is_the_shipped_one_read_twice(tmp_path: Path) -> None:
    task = find_task(load_tasks(readers_twice(tmp_path / "tasks")), TASK)
    assert task.readers.twice == 1
    assert task.labels == find_task(load_tasks(), TASK).labels
