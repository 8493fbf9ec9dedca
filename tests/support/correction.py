"""Workitems in somebody's hands, without the way that leads there."""

from services.context import Context
from services.ledger import gradings, workitem_changes, workitems
from services.ledger.workitems import Cause, NewWorkitem, Slot


def add_workitem(
    context: Context,
    study_uid: str,
    series_uid: str,
    *,
    task: str = "ich",
    analysis_id: int | None = None,
    holder: str | None = "ana",
    slot: Slot = Slot.A,
    graded: bool = True,
    readers: int = 1,
) -> int:
    """A workitem, one slot of it held, the images graded by its holder."""
    with context.pool.connection() as connection:
        identifier = workitems.create(
            connection,
            NewWorkitem(study_uid, series_uid, task, Cause.HAND, analysis_id=analysis_id, readers=readers),
        )
        assert identifier is not None
        if holder is not None:
            item = workitems.read(connection, identifier)
            assert item is not None
            workitem_changes.assign(connection, item, slot, holder, by="admin")
        if holder is not None and graded:
            gradings.grade_images(
                connection, identifier, holder, scale="likert", value=4, motion=False, metal=False, note=None
            )
    return identifier
