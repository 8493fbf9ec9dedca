"""A correction that came from another program: it becomes the first reading of the workitem that it leads to."""

from dataclasses import replace

from services.context import Context
from services.ledger import annotations, selecting, workitem_changes, workitems
from services.ledger.workitems import Cause, NewWorkitem, Slot, State
from services.review import settling, sources
from services.review.errors import Conflict
from services.review.masks import Mask
from services.review.opening import changing, series_of, tasks_of
from services.review.tasks import Task


def workitem_of(context: Context, analysis_id: int) -> int | None:
    """The workitem that corrects an answer, made when there is none; None when nobody corrects it here.

    Raises:
        Conflict: it is being made by somebody else this moment.
    """
    with context.pool.connection() as connection:
        answer = selecting.read_answer(connection, analysis_id)
        task = _task(context, answer.model) if answer is not None else None
        series_uid = answer.inputs.get(task.grid) if answer is not None and task is not None else None
        if answer is None or task is None or series_uid is None:
            return None
        found = [item for item in workitems.of_answer(connection, analysis_id) if item.task == task.name]
        made = (
            found[0].id
            if found
            else workitems.create(
                connection,
                NewWorkitem(
                    study_uid=answer.study_uid,
                    series_uid=series_uid,
                    task=task.name,
                    cause=Cause.ARRIVAL,
                    analysis_id=analysis_id,
                    priority=answer.urgency,
                ),
            )
        )
    if made is None:
        raise Conflict("The answer's workitem was made a moment ago; send the correction again.")
    return made


def arrived(context: Context, identifier: int, mask: Mask, *, author: str, tool: str) -> None:
    """Hand in a mask that somebody drew elsewhere, as the first reading of its workitem.

    Nobody's experience is checked: who drew it may have no account, and a reviewer looks at it as at every other
    reading. The same mask handed in twice changes nothing.

    Args:
        author: account name where the person has one, else how the object names them.

    Raises:
        Conflict: somebody is at work on it, or its label is decided.
        InvalidMask: the mask lies on another grid, or has a label that the task does not know.
    """
    grid = sources.read_grid(context, series_of(context, identifier))
    with changing(context, identifier) as (connection, item, task):
        reading = item.reading(Slot.A)
        last = annotations.latest(connection, item, Slot.A, author)
        if reading is not None and last is not None and (reading.account, last.mask_digest) == (author, mask.digest):
            return
        if item.state not in (State.TO_ANNOTATE, State.RETURNED):
            raise Conflict(f"Its workitem is {item.state.words.lower()}; the correction is not taken.")
        if reading is not None and reading.account != author:
            raise Conflict(f"{reading.account} is at work on it; the correction is not taken.")
        if reading is not None and reading.submitted_id is not None:
            raise Conflict(f"{author} handed in a mask of it already; the correction is not taken.")
        settling.check_mask(mask, grid, task)
        known = replace(item, ai_digest=sources.keep_answer(context, connection, item))
        if reading is None:
            workitem_changes.assign(connection, known, Slot.A, author, by=tool)
        sources.put_mask(context.store, mask)
        saved = annotations.append(
            connection,
            known,
            Slot.A,
            author=author,
            base_digest=last.mask_digest if last is not None else known.ai_digest,
            mask_digest=mask.digest,
            tool=tool,
            labels=settling.measure(context, known, mask, task),
            submitted=True,
            unchanged=mask.digest == known.ai_digest,
        )
        settling.hand_in_reading(context, connection, known, task, Slot.A, author, saved)


def _task(context: Context, model: str) -> Task | None:
    return next((task for task in tasks_of(context).values() if task.model == model), None)
