"""The stage of Segmentations that other programs send: one that leads to an answer becomes its correction."""

from collections.abc import Mapping

from pydicom.dataset import Dataset

from services.context import Context
from services.errors import Reject, Retry
from services.ledger import corrections, selecting
from services.ledger.jobs import Stage
from services.review import arrival, sources
from services.review.incoming import TaskLabel, apply_mapping, propose_mapping
from services.review.mask_seg import open_segmentation, read_segmentation, references_of, segment_names
from services.review.masks import InvalidMask
from services.review.opening import tasks_of
from services.review.tasks import Task

_LONGEST_NAME = 64


def run(context: Context, instance_id: int) -> None:
    """Take a Segmentation that came in as a correction, when it leads to an answer; else leave it alone.

    Raises:
        Retry: its bytes are not in the store yet.
    """
    with context.pool.connection() as connection:
        came = corrections.arrived(connection, instance_id)
    if came is None:
        return
    try:
        data = context.store.get(came.digest)
    except KeyError as error:
        raise Retry("The bytes of a segmentation are not in the store.") from error
    try:
        taken = _take(context, came, data)
    except Reject as error:
        with context.pool.connection() as connection:
            corrections.note_arrival(connection, came, "correction refused", reason=str(error))
        return
    if taken is not None:
        with context.pool.connection() as connection:
            corrections.note_arrival(connection, came, "correction", workitem=taken)


def give_up(context: Context, instance_id: int, reason: str) -> None:
    """The Segmentation stays what it is, an instance; its history says why it became no correction."""
    with context.pool.connection() as connection:
        came = corrections.arrived(connection, instance_id)
        if came is not None:
            corrections.note_arrival(connection, came, "correction refused", reason=reason)


STAGE = Stage("arrive", run, give_up)


def _take(context: Context, came: corrections.Arrived, data: bytes) -> int | None:
    """The workitem that a Segmentation was handed in to; None when it is of no answer.

    Raises:
        Reject: it is of an answer and cannot be taken.
    """
    header = open_segmentation(data)
    with context.pool.connection() as connection:
        analysis_id = corrections.find_answer(connection, came.study_uid, references_of(header))
        answer = selecting.read_answer(connection, analysis_id) if analysis_id is not None else None
        written = corrections.written(connection, analysis_id) if analysis_id is not None else None
    task = _task(context, answer.model) if answer is not None else None
    if analysis_id is None or answer is None or task is None or task.grid not in answer.inputs:
        return None
    grid = sources.read_grid(context, answer.inputs[task.grid])
    incoming = read_segmentation(data, grid, study_uid=came.study_uid)
    labels = [TaskLabel(label.value, label.name, label.meaning) for label in task.labels]
    mask = apply_mapping(incoming, propose_mapping(incoming, labels, _names(context, written)), labels)
    tool = f"SEG from {came.calling_ae}" if came.calling_ae else "SEG"
    return arrival.arrived(context, analysis_id, mask, author=_author(header, came.calling_ae), tool=tool)


def _task(context: Context, model: str) -> Task | None:
    return next((task for task in tasks_of(context).values() if task.model == model), None)


def _names(context: Context, written: str | None) -> Mapping[int, str] | None:
    """Names by segment number in the object that whoever drew most likely began from."""
    if written is None:
        return None
    try:
        return segment_names(open_segmentation(context.store.get(written)))
    except (KeyError, InvalidMask):
        return None


def _author(header: Dataset, calling_ae: str) -> str:
    """Who drew it, as the object says; else the program that sent it."""
    named = str(header.get("ContentCreatorName") or "").replace("^", " ").strip()
    return (named or calling_ae or "another program")[:_LONGEST_NAME]
