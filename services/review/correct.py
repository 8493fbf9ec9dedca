"""Stages between the review and the PACS: an accepted label becomes a Segmentation; an arriving one a correction."""

from io import BytesIO

from pydicom import dcmread
from pydicom.config import disable_value_validation

from models.card import Card
from models.errors import InvalidCard, ModelError
from models.registry import load_card
from services.context import Context
from services.errors import Reject, Retry
from services.ledger import analyses, corrections
from services.ledger.jobs import Stage
from services.ledger.results import NewResult
from services.results.answer import Answer, Concept, Label, Predecessor
from services.results.encode import labels_of, sources_of
from services.review import sources
from services.review.correction_seg import Correction, encode_correction
from services.review.opening import tasks_of
from services.review.tasks import Task, find_task

LESION = Concept("52988006", "SCT", "Lesion")
"""For labels of a task whose model's card is not installed any more."""


def run(context: Context, workitem_id: int) -> None:
    """Write and deliver the label that a workitem was accepted with; nothing to do for one opened again.

    Raises:
        Retry: bytes it needs are not in the store.
    """
    with context.pool.connection() as connection:
        accepted = corrections.load(connection, workitem_id)
        if accepted is None:
            return
        keys = analyses.instance_keys(connection, accepted.series_uid)
    try:
        written, data = encode_correction(_correction(context, accepted, keys))
    except (Reject, ModelError) as error:
        with context.pool.connection() as connection:
            corrections.note(connection, accepted, "not written", str(error))
        return
    result = NewResult(
        kind="correction",
        sop_class_uid=written.SOPClassUID,
        sop_instance_uid=written.SOPInstanceUID,
        series_uid=written.SeriesInstanceUID,
        digest=context.store.put(data),
        size_bytes=len(data),
        transfer_syntax_uid=written.file_meta.TransferSyntaxUID,
        modality=written.Modality,
        series_number=int(written.SeriesNumber),
        series_description=written.SeriesDescription,
        attributes={keyword: int(written[keyword].value) for keyword in ("Rows", "Columns", "NumberOfFrames")},
    )
    destinations = [each.name for each in context.settings.destinations if "seg" in each.results]
    with context.pool.connection() as connection:
        corrections.save(connection, accepted, result, destinations)


def give_up(context: Context, workitem_id: int, reason: str) -> None:
    """The label stays accepted; the history says that the PACS does not have it."""
    with context.pool.connection() as connection:
        accepted = corrections.load(connection, workitem_id)
        if accepted is not None:
            corrections.note(connection, accepted, "not written", reason)


STAGE = Stage("correct", run, give_up)


def _correction(context: Context, accepted: corrections.Accepted, keys: list[str]) -> Correction:
    mask = sources.get_mask(context.store, accepted.mask_digest)
    try:
        with disable_value_validation():
            headers = sources_of([dcmread(BytesIO(context.store.get(key))) for key in keys])
    except KeyError as error:
        raise Retry("The bytes of a source image are not in the store.") from error
    if tuple(str(header.SOPInstanceUID) for header in headers) != mask.grid.sources:
        raise Reject("Images arrived after the label was accepted; it no longer lies on them slice by slice.")
    return Correction(
        answer=Answer(
            sources=headers,
            segmentation=mask.labels,
            labels=_labels(find_task(tasks_of(context), accepted.task)),
            findings=(),
            urgency=accepted.urgency,
            model=accepted.model,
            input_digest=accepted.input_digest,
            analysed_at=accepted.accepted_at,
            institution=context.settings.institution,
        ),
        grid=mask.grid,
        mask_digest=accepted.mask_digest,
        people=accepted.people,
        predecessor=None if accepted.predecessor is None else Predecessor(*accepted.predecessor),
        unchanged=accepted.unchanged,
    )


def _labels(task: Task) -> tuple[Label, ...]:
    """The task's labels, coded as in its model's card."""
    try:
        card: Card | None = load_card(task.model) if task.model else None
    except InvalidCard:
        card = None
    coded = {label.name: label.code for label in labels_of(card)} if card is not None else {}
    return tuple(Label(label.value, label.name, coded.get(label.name, LESION), label.colour) for label in task.labels)
