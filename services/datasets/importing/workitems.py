"""Imported masks as workitems: handed in as the first reading, for a reviewer to look at as at every other one."""

from datetime import timedelta
from typing import Final

import numpy as np

from services.context import Context
from services.datasets.importing.objects import study_uid_of
from services.datasets.importing.tree import ImportedCase, label_values
from services.errors import Reject
from services.ledger import analyses, workitems
from services.ledger.workitems import Cause, NewWorkitem
from services.review import arrival
from services.review.incoming import Incoming
from services.review.mask_nifti import read_nifti_mask
from services.review.masks import Mask
from services.review.sources import read_grid
from services.review.tasks import Task

TOOL: Final = "import"
_PRIORITY: Final = 3


def hand_in(context: Context, case: ImportedCase, dataset: str, series_uid: str, task: Task) -> int:
    """Make the workitem of an imported mask and hand the mask in; its number. Its images must have arrived.

    An import that is run again changes nothing.

    Args:
        series_uid: of the images that the mask lies on.

    Raises:
        Reject: the images have not arrived, the mask lies elsewhere, or its values are no labels of the task.
    """
    with context.pool.connection() as connection:
        if not analyses.instance_keys(connection, series_uid):
            raise Reject("Its images have not arrived.")
        there = workitems.of_study(connection, study_uid_of(case, dataset))
    sought = (series_uid, task.name, Cause.ARRIVAL)
    ours = next((each for each in there if (each.series_uid, each.task, each.cause) == sought), None)
    if ours is not None and ours.readings:
        return ours.id
    mask = _mask(case, read_nifti_mask(case.mask.read_bytes(), read_grid(context, series_uid), empty=True), task)
    made = None if ours is None else ours.id  # without a reading: an import ended before it was handed in
    with context.pool.connection() as connection:
        made = made or workitems.create(
            connection,
            NewWorkitem(
                study_uid=study_uid_of(case, dataset),
                series_uid=series_uid,
                task=task.name,
                cause=Cause.ARRIVAL,
                cause_detail=f"Imported from {dataset}.",
                priority=_PRIORITY,
                due_at=context.now() + timedelta(days=task.due_days[_PRIORITY]),
            ),
        )
    assert made is not None  # only workitems of an answer can be there already
    arrival.arrived(context, made, mask, author=dataset, tool=TOOL)
    return made


def _mask(case: ImportedCase, incoming: Incoming, task: Task) -> Mask:
    table = np.zeros(2**16, np.uint8)
    try:
        values = label_values(case, {label.name: label.value for label in task.labels})
    except ValueError as error:
        raise Reject(str(error)) from error
    for value, ours in values.items():
        table[value] = ours
    strange = [number for number in incoming.numbers if not table[number]]
    if strange:
        raise Reject(f"Its mask holds the value {strange[0]}, which is no label of {task.title}.")
    return Mask(table[incoming.segments], incoming.grid)
