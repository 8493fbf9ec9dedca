"""The stage between the review and the PACS: an accepted label becomes a Segmentation and a report of its own."""

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO

from pydicom import dcmread
from pydicom.config import disable_value_validation

from models.card import Card
from models.errors import InvalidCard, ModelError
from models.registry import load_card
from services.context import Context
from services.errors import Reject, Retry
from services.ledger import analyses, corrections
from services.ledger.corrections import Origin, Written
from services.ledger.jobs import Stage
from services.results.answer import BRAIN, Concept, Label, Predecessor
from services.results.encode import labels_of, sources_of
from services.results.stored import keep
from services.review import sources
from services.review.correction import Correction
from services.review.correction_report import encode_report
from services.review.correction_seg import encode_segmentation
from services.review.masks import Mask
from services.review.opening import tasks_of
from services.review.tasks import Task, find_task

LESION = Concept("52988006", "SCT", "Lesion")
"""For labels that no installed model's card codes."""

_RESULTS = {"correction": "seg", "correction_sr": "sr"}
"""Which kind of results a destination has to want to get them."""


def run(context: Context, workitem_id: int) -> None:
    """Write and deliver the label that a workitem was accepted with; nothing to do for one opened again.

    Raises:
        Retry: bytes it needs are not in the store.
    """
    with context.pool.connection() as connection:
        accepted = corrections.load(connection, workitem_id)
    if accepted is None:
        return
    try:
        correction = describe(
            context,
            accepted.origin,
            sources.get_mask(context.store, accepted.mask_digest),
            drew=accepted.drew,
            accepted_by=accepted.accepted_by,
            at=accepted.accepted_at,
            unchanged=accepted.unchanged,
        )
        segmentation = encode_segmentation(correction) if correction.segments else None
        objects = [("correction", *segmentation)] if segmentation is not None else []
        objects += [("correction_sr", *encode_report(correction, segmentation[0] if segmentation else None))]
    except (Reject, ModelError) as error:
        with context.pool.connection() as connection:
            corrections.note(connection, accepted, "not written", str(error))
        return
    results = [keep(context.store, kind, dataset, data) for kind, dataset, data in objects]
    destinations = {
        kind: [each.name for each in context.settings.destinations if wanted in each.results]
        for kind, wanted in _RESULTS.items()
    }
    with context.pool.connection() as connection:
        corrections.save(connection, accepted, results, destinations)


def give_up(context: Context, workitem_id: int, reason: str) -> None:
    """The label stays accepted; the history says that the PACS does not have it."""
    with context.pool.connection() as connection:
        accepted = corrections.load(connection, workitem_id)
        if accepted is not None:
            corrections.note(connection, accepted, "not written", reason)


STAGE = Stage("correct", run, give_up)


def describe(
    context: Context,
    origin: Origin,
    mask: Mask,
    *,
    drew: Sequence[tuple[str, str]],
    accepted_by: str | None,
    at: datetime,
    unchanged: bool = False,
) -> Correction:
    """A mask of a workitem with everything that its objects say.

    Raises:
        Retry: bytes of its images are not in the store.
        Reject: it no longer lies on the images, or they cannot carry results.
        ModelError: they cannot be read as a volume.
    """
    with context.pool.connection() as connection:
        keys = analyses.instance_keys(connection, origin.series_uid)
    try:
        with disable_value_validation():
            headers = sources_of([dcmread(BytesIO(context.store.get(key))) for key in keys])
    except KeyError as error:
        raise Retry("The bytes of a source image are not in the store.") from error
    if tuple(str(header.SOPInstanceUID) for header in headers) != mask.grid.sources:
        raise Reject("Images arrived after the mask was drawn; it no longer lies on them slice by slice.")
    return Correction(
        task=origin.task,
        sources=headers,
        mask=mask,
        labels=_labels(find_task(tasks_of(context), origin.task)),
        site=BRAIN,
        drew=tuple(drew),
        accepted_by=accepted_by,
        at=at,
        model=origin.model,
        input_digest=origin.input_digest,
        segmentation=_predecessor(origin, origin.segmentation),
        report=_predecessor(origin, origin.report),
        unchanged=unchanged,
        institution=context.settings.institution,
    )


def _predecessor(origin: Origin, written: Written | None) -> Predecessor | None:
    if written is None:
        return None
    return Predecessor(origin.study_uid, written.series_uid, written.sop_class_uid, written.sop_instance_uid)


def _labels(task: Task) -> tuple[Label, ...]:
    """The task's labels, coded as in its model's card."""
    try:
        card: Card | None = load_card(task.model) if task.model else None
    except InvalidCard:
        card = None
    coded = {label.name: label.code for label in labels_of(card)} if card is not None else {}
    return tuple(Label(label.value, label.name, coded.get(label.name, LESION), label.colour) for label in task.labels)
