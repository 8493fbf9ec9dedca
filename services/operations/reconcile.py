"""Custody proven: the ledger against its own bytes, against its own promises, and against the PACS."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from rich.console import Group, RenderableType
from rich.table import Table

from services.context import Context
from services.ledger import custody
from services.operations.archive import Archive, HeldSeries

QUIET = timedelta(minutes=5)
"""What arrived since then may still be on its way to one side or the other."""
AT_ONCE = 16
"""Questions to the store side by side; a bucket takes some milliseconds to answer each."""

Kind = Literal["missing here", "missing in the PACS", "result missing in the PACS", "bytes missing", "no end state"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Difference:
    """One thing that is on one side only.

    Attributes:
        series_uid: "" where it concerns the study as a whole.
        instances: SOP Instance UIDs, sorted.
    """

    kind: Kind
    study_uid: str
    series_uid: str
    instances: tuple[str, ...]


@dataclass(frozen=True)
class Reconciliation:
    """What a comparison found.

    Attributes:
        studies: how many were compared.
        unsettled: studies left out because instances came within the last minutes.
        pulled: series that the PACS was asked to send again.
    """

    since: datetime
    at: datetime
    archive: str | None
    studies: int
    unsettled: int
    differences: tuple[Difference, ...]
    pulled: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "since": self.since.isoformat(), "at": self.at.isoformat()}


def reconcile(
    context: Context,
    archive: Archive | None,
    *,
    since: datetime,
    pull: bool = False,
    progress: Progress = lambda *_: None,
) -> Reconciliation:
    """Compare, and note in the ledger how many differences there are.

    Args:
        archive: the PACS; without one the ledger is compared with its own bytes and promises alone.
        since: studies that arrived, or that the PACS dates, since then.
        pull: have the PACS send what is missing here.

    Raises:
        ArchiveError: the PACS does not answer. Nothing is noted then.
    """
    now = context.now()
    with context.pool.connection() as connection:
        known = custody.studies_since(connection, since)
        differences = [
            *_without_bytes(context, custody.keys_since(connection, since)),
            *(
                Difference("no end state", study_uid, "", ())
                for study_uid in custody.unanswered(connection, now - QUIET)
            ),
        ]
    studies, unsettled, pulled = len(known), 0, 0
    if archive is not None:
        asked = list(dict.fromkeys([*known, *archive.studies(since.date(), now.date())]))
        studies = len(asked)
        for number, study_uid in enumerate(asked, start=1):
            held = archive.series(study_uid)
            with context.pool.connection() as connection:
                kept = custody.kept(connection, study_uid, _destination(context), now - QUIET)
            if kept.settled:
                differences += compare(kept, held, _modalities(context))
            else:
                unsettled += 1
            progress(number, studies)
        if pull:
            missing = [entry for entry in differences if entry.kind == "missing here"]
            for entry in missing:
                archive.send_again(entry.study_uid, entry.series_uid)
            pulled = len(missing)
    with context.pool.connection() as connection:
        custody.record(connection, now, since, studies, len(differences))
    return Reconciliation(
        since, now, None if archive is None else str(archive), studies, unsettled, tuple(differences), pulled
    )


def compare(kept: custody.KeptStudy, held: Iterable[HeldSeries], modalities: frozenset[str]) -> list[Difference]:
    """Differences of one study.

    Args:
        modalities: series of these are expected here; of others only those of which something came.
    """
    found: list[Difference] = []
    there: set[str] = set()
    for series in held:
        there |= series.instances
        here = kept.series.get(series.series_uid, frozenset())
        if series.modality in modalities or here:
            missing = series.instances - here - kept.results
            if missing:
                found.append(Difference("missing here", kept.study_uid, series.series_uid, tuple(sorted(missing))))
    for series_uid, instances in sorted(kept.series.items()):
        if absent := instances - there:
            found.append(Difference("missing in the PACS", kept.study_uid, series_uid, tuple(sorted(absent))))
    if absent := kept.delivered - there:
        found.append(Difference("result missing in the PACS", kept.study_uid, "", tuple(sorted(absent))))
    return found


def _without_bytes(context: Context, rows: Iterable[dict[str, Any]]) -> list[Difference]:
    kept = list(rows)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        held = list(pool.map(context.store.holds, [row["digest"] for row in kept]))
    return [
        Difference("bytes missing", row["study_uid"], "", (row["sop_instance_uid"],))
        for row, is_held in zip(kept, held, strict=True)
        if not is_held
    ]


def _destination(context: Context) -> str | None:
    return None if context.settings.archive is None else context.settings.archive.destination


def _modalities(context: Context) -> frozenset[str]:
    return frozenset() if context.settings.archive is None else frozenset(context.settings.archive.modalities)


def render(found: Reconciliation) -> RenderableType:
    """The comparison for people."""
    whom = found.archive or "no PACS (settings: archive); the ledger with its own bytes"
    lines: list[RenderableType] = [
        f"{found.studies} studies since {found.since:%Y-%m-%d %H:%M} compared with {whom}."
        + (f" {found.unsettled} left out: instances still arrive." if found.unsettled else "")
    ]
    if not found.differences:
        lines.append("No difference.")
        return Group(*lines)
    table = Table("Difference", "Instances", "Study", "Series")
    for entry in sorted(found.differences, key=lambda entry: KINDS.index(entry.kind)):
        table.add_row(entry.kind, str(len(entry.instances) or "-"), entry.study_uid, entry.series_uid)
    lines.append(table)
    if found.pulled:
        lines.append(f"The PACS was asked to send {found.pulled} series again; compare once more when they are here.")
    return Group(*lines)
