"""A release: every accepted label of a task read, checked, and written, or held with its reason; and the same again."""

import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from services.context import Context
from services.datasets.aside import new_folder, refuse_existing
from services.datasets.deidentify.folder import Report
from services.datasets.deidentify.hold import Hold
from services.datasets.deidentify.pseudonyms import Pseudonyms
from services.datasets.release.acceptance import Check, accept, told_of
from services.datasets.release.bids import PLACES
from services.datasets.release.case import Case, read_case
from services.datasets.release.entry import Entry, Plan, split_of, write_json, write_text
from services.datasets.release.layouts import SHAPES, Layout, check_target
from services.datasets.release.quality import render_quality
from services.errors import Reject, SettingsError
from services.ledger import releases
from services.ledger.accepted import AcceptedLabel, label_to_json, list_accepted
from services.ledger.releases import ReleaseRecord
from services.processes import user_name
from services.review.tasks import Task

_SPOOL: Final = ".spool"
_RENUMBERED: Final = (Layout.NNUNET, Layout.DECATHLON)

Progress = Callable[[int, int], None]


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
    progress: Progress = lambda _, __: None,
    *,
    layout: Layout = Layout.BIDS,
) -> Release:
    """Write the accepted labels of a task into the new folder `target`, and the release into the ledger.

    The same labels, name, layout and key are the same release, however often they are exported.

    Raises:
        SettingsError: `target` exists, or is no name for the layout.
        Reject: nothing is accepted, everything was held, it does not pass acceptance, or `target` could not be
            written. Nothing is left there.
    """
    _check_use(task, target, layout)
    with context.pool.connection() as connection:
        labels = list_accepted(connection, task.name, model=task.model)
    if not labels:
        raise Reject(f"No label of the task {task.name} is accepted. Accept some on the review pages first.")
    with new_folder(target) as aside:
        cases, held = _read_all(context, labels, task, pseudonyms, aside / _SPOOL, progress, layout)
        if not cases:
            raise Reject(
                f"Nothing was left to release: all {len(held)} workitems were held. "
                + " ".join(f"{number}: {reason}" for number, reason in held[:3])
            )
        reasons = dict(sorted(Counter(reason for _, reason in held).items()))
        record = _record(context, task, name, layout, pseudonyms, [case.label for case in cases], reasons)
        content = _write(aside, cases, task, record, pseudonyms)
        _write_down(context, record, content)
    return Release(content, tuple(sorted(held)))


def rebuild(
    context: Context,
    task: Task,
    target: Path,
    record: ReleaseRecord,
    pseudonyms: Pseudonyms,
    progress: Progress = lambda _, __: None,
) -> Release:
    """Write an earlier release once more, to the same bytes.

    Raises:
        SettingsError: `target` exists, or the key is another one.
        Reject: it cannot be the same any more: a label is held now (consent was withdrawn, bytes are gone), or the
            bytes that came out are others. Nothing is left at `target`.
    """
    layout = Layout(record.layout)
    _check_use(task, target, layout)
    if record.key_fingerprint != pseudonyms.fingerprint:
        raise SettingsError(
            f"Release {record.number} of {record.task} was made with the key {record.key_fingerprint}; this one is "
            f"{pseudonyms.fingerprint}. Name that key's file."
        )
    with new_folder(target) as aside:
        cases, held = _read_all(context, record.labels, task, pseudonyms, aside / _SPOOL, progress, layout)
        if held:
            raise Reject(
                f"Release {record.number} of {record.task} cannot be made again: "
                + " ".join(f"workitem {number}: {reason}" for number, reason in held[:3])
                + " Make a new release without it."
            )
        content = _write(aside, cases, task, record, pseudonyms)
        _compare(record, content)
    return Release(content, ())


def _check_use(task: Task, target: Path, layout: Layout) -> None:
    refuse_existing(target)
    check_target(layout, target)
    if unknown := sorted({task.grid} - set(PLACES)):
        raise Reject(f"Images of the role {', '.join(unknown)} have no place in a BIDS dataset yet.")


def _read_all(
    context: Context,
    labels: Sequence[AcceptedLabel],
    task: Task,
    pseudonyms: Pseudonyms,
    spool: Path,
    progress: Progress,
    layout: Layout,
) -> tuple[list[Case], list[tuple[int, str]]]:
    """Cases, put aside one by one, and what was held."""
    cases: list[Case] = []
    held: list[tuple[int, str]] = []
    for number, label in enumerate(labels, 1):
        try:
            case = _read(context, label, task, pseudonyms)
            cases.append(case.put_aside(spool / str(number), instances=SHAPES[layout].instances))
        except Hold as hold:
            held.append((label.workitem_id, str(hold)))
        progress(number, len(labels))
    cases, doubles = _without_doubles(cases)
    return cases, held + doubles


def _read(context: Context, label: AcceptedLabel, task: Task, pseudonyms: Pseudonyms) -> Case:
    if lacking := sorted(set(label.inputs) - set(PLACES)):
        raise Hold(f"Images of the role {', '.join(lacking)} have no place in a BIDS dataset yet.")
    with context.pool.connection() as connection:
        return read_case(context, connection, label, task, pseudonyms)


def _record(
    context: Context,
    task: Task,
    name: str,
    layout: Layout,
    pseudonyms: Pseudonyms,
    labels: Sequence[AcceptedLabel],
    held: Mapping[str, int],
) -> ReleaseRecord:
    """The release that was made of this before, or the task's next one; its digest is then still empty."""
    now = context.now()
    fresh = ReleaseRecord(
        at=datetime.fromtimestamp(int(now.timestamp()), now.tzinfo),
        task=task.name,
        number=0,
        name=name,
        layout=layout.value,
        software=version("nightjar"),
        key_fingerprint=pseudonyms.fingerprint,
        content="",
        digest="",
        labels=tuple(labels),
        held=dict(held),
    )
    facts = [fresh.name, fresh.layout, fresh.software, fresh.key_fingerprint, fresh.held, task.model_dump(mode="json")]
    made_of = json.dumps([*facts, [label_to_json(label) for label in labels]], sort_keys=True)
    digest = hashlib.sha256(made_of.encode()).hexdigest()
    with context.pool.connection() as connection:
        earlier = releases.same_content(connection, task.name, digest)
        number = releases.next_number(connection, task.name)
    return earlier or replace(fresh, content=digest, number=number)


def _write(
    folder: Path, cases: Sequence[Case], task: Task, record: ReleaseRecord, pseudonyms: Pseudonyms
) -> dict[str, Any]:
    """Everything in the release's folder; what release.json holds.

    Raises:
        Reject: it does not pass acceptance.
    """
    layout = Layout(record.layout)
    plan = Plan(task, record.name, record.number, record.at.date(), record.layout, pseudonyms)
    report = Report(key=pseudonyms.fingerprint)
    for case in cases:
        report.add(case.report)
    write_json(
        folder / "deidentification.json",
        {**report.as_dict(), "held": {}, "workitems_held": sum(record.held.values())},
    )
    entries = SHAPES[layout].write(folder, cases, plan)
    secrets = {secret for case in cases for secret in case.secrets}
    values = {
        (number if layout in _RENUMBERED else label.value): label.name for number, label in enumerate(task.labels, 1)
    }
    held = sum(record.held.values())
    checks = accept(folder, entries, layout, values, accepted=len(cases) + held, held=held, secrets=secrets)
    _refuse(checks)
    write_text(folder / "quality.html", render_quality(cases, plan, checks, record.held))
    shutil.rmtree(folder / _SPOOL)
    return _write_index(folder, cases, entries, record, values)


def _refuse(checks: Sequence[Check]) -> None:
    if wrong := told_of(checks):
        raise Reject(f"The release does not pass acceptance; nothing was released. {wrong}")


def _write_index(
    folder: Path, cases: Sequence[Case], entries: Sequence[Entry], record: ReleaseRecord, values: Mapping[int, str]
) -> dict[str, Any]:
    """release.json: what is where, and a digest of every other file and of the whole."""
    content = {
        "name": record.name,
        "task": record.task,
        "number": record.number,
        "date": record.at.date().isoformat(),
        "layout": record.layout,
        "software": record.software,
        "key_fingerprint": record.key_fingerprint,
        "cases": len(cases),
        "participants": len({case.participant for case in cases}),
        "splits": dict(sorted(Counter(split_of(case.lots) for case in cases).items())),
        "held": sum(record.held.values()),
        "labels": {name: value for value, name in values.items()},
        "index": [asdict(entry) for entry in entries],
        "files": {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    content["release"] = hashlib.sha256(json.dumps(content["files"], sort_keys=True).encode()).hexdigest()[:16]
    write_json(folder / "release.json", content)
    return content


def _write_down(context: Context, record: ReleaseRecord, content: Mapping[str, Any]) -> None:
    if record.digest:
        _compare(record, content)
        return
    with context.pool.connection() as connection:
        releases.save(connection, replace(record, digest=content["release"]), by=user_name())


def _compare(record: ReleaseRecord, content: Mapping[str, Any]) -> None:
    if content["release"] != record.digest:
        now = version("nightjar")
        raise Reject(
            f"Release {record.number} of {record.task} came out as {content['release']}, not as {record.digest}. "
            f"Nightjar {record.software} wrote it; this is {now}. Use the installation that wrote it."
        )


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
