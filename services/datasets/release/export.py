"""A release: every accepted label of a task read, checked, and written, or held with its reason."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.context import Context
from services.datasets.aside import new_folder
from services.datasets.deidentify.folder import Report
from services.datasets.deidentify.hold import Hold
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release.bids import PLACES, write_bids
from services.datasets.release.case import Case, read_case
from services.errors import Reject
from services.ledger.accepted import AcceptedLabel, list_accepted
from services.review.tasks import Task


@dataclass(frozen=True)
class Release:
    """What was released, and which workitems were held with the reason."""

    content: dict[str, Any]
    held: tuple[tuple[int, str], ...]


def export(
    context: Context,
    task: Task,
    target: Path,
    name: str,
    pseudonyms: Pseudonyms,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Release:
    """Write the accepted labels of a task as a BIDS dataset into the new folder `target`.

    Raises:
        SettingsError: `target` exists.
        Reject: nothing is accepted, everything was held, or `target` could not be written. Nothing is left there.
    """
    if unknown := sorted({task.grid} - set(PLACES)):
        raise Reject(f"Images of the role {', '.join(unknown)} have no place in a BIDS dataset yet.")
    with context.pool.connection() as connection:
        labels = list_accepted(connection, task.name)
    if not labels:
        raise Reject(f"No label of the task {task.name} is accepted. Accept some on the review pages first.")
    report = Report(key=pseudonyms.fingerprint)
    cases: list[Case] = []
    held: list[tuple[int, str]] = []
    with new_folder(target) as aside:
        for number, label in enumerate(labels, 1):
            try:
                cases.append(_read(context, label, task, pseudonyms, report))
            except Hold as hold:
                held.append((label.workitem_id, str(hold)))
            progress(number, len(labels))
        cases, doubles = _without_doubles(cases)
        held += doubles
        if not cases:
            raise Reject(
                f"Nothing was left to release: all {len(held)} workitems were held. "
                + " ".join(f"{number}: {reason}" for number, reason in held[:3])
            )
        deidentified = {**report.as_dict(), "held": {}, "workitems_held": len(held)}
        (aside / "deidentification.json").write_text(json.dumps(deidentified, indent=2) + "\n", encoding="utf-8")
        content = write_bids(aside, cases, task, name, pseudonyms)
    return Release(content, tuple(sorted(held)))


def _read(context: Context, label: AcceptedLabel, task: Task, pseudonyms: Pseudonyms, report: Report) -> Case:
    if lacking := sorted(set(label.inputs) - set(PLACES)):
        raise Hold(f"Images of the role {', '.join(lacking)} have no place in a BIDS dataset yet.")
    with context.pool.connection() as connection:
        return read_case(context, connection, label, task, pseudonyms, report)


def _without_doubles(cases: Sequence[Case]) -> tuple[list[Case], list[tuple[int, str]]]:
    """Cases whose images nobody else has; the same images under two patients would leak from one split to another."""
    owners: dict[str, set[str]] = defaultdict(set)
    digests = [hashlib.sha256(case.images[0].volume.voxels.tobytes()).hexdigest() for case in cases]
    for case, digest in zip(cases, digests, strict=True):
        owners[digest].add(case.participant)
    kept = [case for case, digest in zip(cases, digests, strict=True) if len(owners[digest]) == 1]
    doubles = [
        (case.label.workitem_id, "The same images stand under two patients.")
        for case, digest in zip(cases, digests, strict=True)
        if len(owners[digest]) > 1
    ]
    return kept, doubles
