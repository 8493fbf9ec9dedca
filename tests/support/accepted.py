"""Accepted labels in a real ledger and store, with the images they lie on, as releases are made of them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from support.heads import head_instances, small_head
from support.images import analyse, receive

from models.prediction import Finding, Urgency
from services.context import Context
from services.ledger import annotations, consent, gradings, workitem_changes, workitems
from services.ledger.consent import Consent, ConsentEntry
from services.ledger.gradings import LabelAgreement
from services.ledger.workitems import Cause, NewWorkitem, Slot, State
from services.review.masks import Mask
from services.review.sources import put_mask, read_grid


def accept(
    context: Context,
    number: int,
    *,
    consented: bool = True,
    twice: bool = False,
    last: Mapping[str, Any] | None = None,
    side_by_side: Callable[[list[Dataset]], Dataset] | None = None,
    **values: Any,
) -> tuple[int, NDArray[np.uint8]]:
    """A head CT of a patient of its own with an accepted label: workitem and label map.

    Args:
        consented: the patient's consent is recorded.
        twice: two readers drew it; their agreement is made up.
        last: further attributes of the last instance alone, by keyword.
        side_by_side: makes one mosaic of them.
        values: further attributes of every instance, by keyword.
    """
    scanned = small_head(("IPH", 20.0), seed=4, tilt_deg=0.0)
    datasets: list[Dataset] = head_instances(scanned, study=number)
    for dataset in datasets:
        dataset.PatientName, dataset.PatientID = f"Doe^Jane{number}", f"MRN-5550{number}"
        dataset.RescaleIntercept = str(number)  # other images in every study
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    for keyword, value in (last or {}).items():
        setattr(datasets[-1], keyword, value)
    if side_by_side is not None:
        datasets = [side_by_side(datasets)]
    study_uid, series_uid = receive(context, datasets)
    finding = Finding("IPH", 0.9, 20.0, Urgency.URGENT, 3)
    analysis = analyse(context, study_uid, series_uid, scanned.labels, [finding])
    labels = scanned.labels.copy()
    labels[0, :3, :3] = 3
    mask = Mask(labels, read_grid(context, series_uid))
    put_mask(context.store, mask)
    with context.pool.connection() as connection:
        if consented:
            entry = ConsentEntry(Consent.GRANTED, "form 7", patient_id=f"MRN-5550{number}")
            consent.record(connection, [entry], by="trial office")
        new = NewWorkitem(study_uid, series_uid, "ich", Cause.HAND, analysis_id=analysis, created_by="cy.weiss")
        item_id = workitems.create(connection, new)
        assert item_id is not None

        def item() -> workitems.Workitem:
            found = workitems.read(connection, item_id)
            assert found is not None
            return found

        workitem_changes.assign(connection, item(), Slot.A, "ana.silva", by="ana.silva")
        drawn = annotations.append(
            connection, item(), Slot.A, author="ana.silva", base_digest=None, mask_digest=mask.digest,
            tool="Nightjar editor", labels={}, submitted=True,
        )  # fmt: skip
        workitem_changes.hand_in(connection, item(), Slot.A, drawn.id)
        gradings.grade_images(
            connection, item_id, "ana.silva", scale="likert", value=4, motion=number % 2 == 0, metal=False, note="typed"
        )
        if twice:
            other = annotations.append(
                connection, item(), Slot.B, author="bo.meier", base_digest=None, mask_digest=mask.digest,
                tool="upload: NIfTI", labels={}, submitted=True,
            )  # fmt: skip
            agreed = LabelAgreement("IPH", 20.0, 19.0 + 0.3 * number, 0.9, 0.95, 2.0, 1.0, ())
            gradings.save_agreement(connection, item_id, 1, drawn.id, other.id, [agreed])
        workitem_changes.let_stand(connection, item(), drawn.id)
        for target in (State.ANNOTATED, State.IN_REVIEW, State.ACCEPTED):
            workitem_changes.move(connection, item(), target, account="cy.weiss", role="reviewer")
    return item_id, labels
