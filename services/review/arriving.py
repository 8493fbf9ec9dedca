"""The stage of Segmentations that other programs send: one that leads to an answer or workitem is its correction."""

from collections.abc import Mapping

from pydicom.dataset import Dataset

from services.context import Context
from services.errors import Reject, Retry
from services.ledger import corrections
from services.ledger.jobs import Stage
from services.review import arrival, opening, sources
from services.review.incoming import TaskLabel, apply_mapping, propose_mapping
from services.review.mask_seg import open_segmentation, read_segmentation, references_of, segment_names
from services.review.masks import InvalidMask
from services.review.tasks import find_task

_LONGEST_NAME = 64


def run(context: Context, instance_id: int) -> None:
    """Take a Segmentation that came in as a correction, when it leads to a workitem; else leave it alone.

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
    """The workitem that a Segmentation was handed in to; None when it leads to none.

    Raises:
        Reject: it leads to one and cannot be taken.
    """
    header = open_segmentation(data)
    references = references_of(header)
    with context.pool.connection() as connection:
        analysis_id = corrections.find_answer(connection, came.study_uid, references)
        identifier = corrections.find_workitem(connection, came.study_uid, references) if analysis_id is None else None
        written = corrections.written(connection, analysis_id) if analysis_id is not None else None
    if analysis_id is not None:
        identifier = arrival.workitem_of(context, analysis_id)
    if identifier is None:
        return None
    with context.pool.connection() as connection:
        item = opening.read_item(connection, identifier)
    task = find_task(opening.tasks_of(context), item.task)
    incoming = read_segmentation(data, sources.read_grid(context, item.series_uid), study_uid=came.study_uid)
    labels = [TaskLabel(label.value, label.name, label.meaning) for label in task.labels]
    mask = apply_mapping(incoming, propose_mapping(incoming, labels, _names(context, written)), labels)
    tool = f"SEG from {came.calling_ae}" if came.calling_ae else "SEG"
    arrival.arrived(context, identifier, mask, author=_author(header, came.calling_ae), tool=tool)
    return identifier


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
