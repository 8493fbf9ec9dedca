"""A correction that came from another program: it becomes the first reading of the answer that it names."""

from dataclasses import replace

from services.context import Context
from services.ledger import annotations, selecting, workitem_changes, workitems
from services.ledger.workitems import Cause, NewWorkitem, Slot, State
from services.review import settling, sources
from services.review.errors import Conflict, NotFound
from services.review.masks import Mask
from services.review.opening import changing, tasks_of
from services.review.tasks import Task


def arrived(context: Context, analysis_id: int, mask: Mask, *, author: str, tool: str) -> int:
    """Hand in a mask that somebody drew elsewhere on an answer's images; its workitem.

    The answer's workitem is made when there is none. Nobody's experience is checked: who drew it may have no account,
    and a reviewer looks at it as at every other reading. The same mask handed in twice changes nothing.

    Args:
        author: account name where the person has one, else how the object names them.

    Raises:
        NotFound: there is no such answer (any more), or no task corrects it.
        Conflict: somebody is at work on the answer, or its label is decided.
        InvalidMask: the mask lies on another grid, or has a label that the task does not know.
    """
    with context.pool.connection() as connection:
        answer = selecting.read_answer(connection, analysis_id)
        task = _task(context, answer.model) if answer is not None else None
        series_uid = answer.inputs.get(task.grid) if answer is not None and task is not None else None
        if answer is None or task is None or series_uid is None:
            raise NotFound("This correction names an answer that nobody corrects here.")
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
    grid = sources.read_grid(context, series_uid)
    with changing(context, made) as (connection, item, task):
        reading = item.reading(Slot.A)
        last = annotations.latest(connection, item, Slot.A, author)
        if reading is not None and last is not None and (reading.account, last.mask_digest) == (author, mask.digest):
            return made
        if item.state not in (State.TO_ANNOTATE, State.RETURNED):
            raise Conflict(f"This answer's workitem is {item.state.words.lower()}; the correction is not taken.")
        if reading is not None and reading.account != author:
            raise Conflict(f"{reading.account} is at work on this answer; the correction is not taken.")
        if reading is not None and reading.submitted_id is not None:
            raise Conflict(f"{author} handed in a mask of this answer already; the correction is not taken.")
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
    return made


def _task(context: Context, model: str) -> Task | None:
    return next((task for task in tasks_of(context).values() if task.model == model), None)
