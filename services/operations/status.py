"""What is where: counts by state, the oldest that waits, jobs, models, disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from models.engines.plans import builds
from services.context import Context
from services.operations.heartbeat import FRESH_S


@dataclass(frozen=True)
class Status:
    """A snapshot of the ledger.

    Attributes:
        studies, series, analyses, deliveries, notifications: counts by state.
        oldest_waiting_s: age of the oldest study without an answer, seconds; None when none waits.
        jobs: counts by task and status.
        parts: parts with a fresh heartbeat, and how many of each.
        models: models whose replicas answer, with version and whether they are loaded.
        building: engines that are being built for a GPU: model, what is being done and how far that is, since when.
        disk_free_mb: room left where instance bytes go, megabytes; None of a bucket.
    """

    instances: int
    conflicts: int
    quarantined: int
    studies: dict[str, int]
    series: dict[str, int]
    analyses: dict[str, int]
    deliveries: dict[str, int]
    notifications: dict[str, int]
    oldest_waiting_s: float | None
    jobs: dict[str, dict[str, int]]
    parts: dict[str, int]
    models: list[dict[str, Any]]
    building: list[dict[str, Any]]
    disk_free_mb: int | None
    at: datetime

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}


def collect_status(context: Context) -> Status:
    """Read the snapshot from the ledger in one transaction."""
    with context.pool.connection() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

        def by_state(table: str) -> dict[str, int]:
            rows = connection.execute(
                f"SELECT state, count(*) AS n FROM {table} GROUP BY state ORDER BY state"
            ).fetchall()
            return {row["state"]: row["n"] for row in rows}

        counts = connection.execute(
            """SELECT (SELECT count(*) FROM instance WHERE NOT conflict) AS instances,
                      (SELECT count(*) FROM instance WHERE conflict) AS conflicts,
                      (SELECT count(*) FROM quarantine) AS quarantined,
                      (SELECT extract(epoch FROM clock_timestamp() - min(first_instance_at))::float8 FROM study
                       WHERE state IN ('receiving', 'analysing')) AS oldest_waiting_s"""
        ).fetchone()
        if counts is None:
            raise RuntimeError("An aggregate without rows: Postgres never does this.")
        jobs: dict[str, dict[str, int]] = {}
        for row in connection.execute(
            "SELECT task_name, status::text, count(*) AS n FROM procrastinate_jobs GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall():
            jobs.setdefault(row["task_name"], {})[row["status"]] = row["n"]
        beats = connection.execute(
            "SELECT part, detail FROM heartbeat WHERE at > clock_timestamp() - make_interval(secs => %s) ORDER BY part",
            [FRESH_S],
        ).fetchall()
        loaded = {
            name
            for beat in beats
            if beat["part"] == "inference" and beat["detail"].get("healthy")
            for name in beat["detail"]["models"]
        }
        served = connection.execute("SELECT name, version, weights_digest FROM model ORDER BY name").fetchall()
        models = [{"name": row["name"], "version": row["version"], "loaded": row["name"] in loaded} for row in served]
        names = {row["weights_digest"]: row["name"] for row in served}
        parts = [beat["part"] for beat in beats]
        room = context.store.free_bytes()
        return Status(
            **counts,
            studies=by_state("study"),
            series=by_state("series"),
            analyses=by_state("analysis"),
            deliveries=by_state("delivery"),
            notifications=by_state("notification"),
            jobs=jobs,
            parts={part: parts.count(part) for part in sorted(set(parts))},
            models=models,
            building=_building(context, names),
            disk_free_mb=None if room is None else room // 2**20,
            at=context.now(),
        )


def _building(context: Context, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of engines in a folder that this machine sees; `names` are the models by their weights."""
    folder = context.settings.inference.engine_cache
    try:
        found = [] if folder is None else builds(folder)
    except OSError:  # the volume is away; the ledger's counts are not
        found = []
    return [
        {
            "model": names.get(build.weights_digest, build.weights_digest[:12]),
            "phase": build.phase,
            "share": build.share,
            "seconds": round(build.seconds),
        }
        for build in found
        if build.phase is not None
    ]


def render_status(status: Status) -> RenderableType:
    """The snapshot for people."""
    table = Table(title="Nightjar status", title_justify="left", show_header=False, box=None, padding=(0, 2))
    table.add_row(
        "Instances", f"{status.instances} kept, {status.conflicts} conflicting, {status.quarantined} quarantined"
    )
    for name, counts in (
        ("Studies", status.studies),
        ("Series", status.series),
        ("Analyses", status.analyses),
        ("Deliveries", status.deliveries),
        ("Notifications", status.notifications),
    ):
        table.add_row(name, _counts(counts))
    waiting = "nothing waits" if status.oldest_waiting_s is None else f"{status.oldest_waiting_s:.0f} s"
    table.add_row("Oldest waiting", waiting)
    table.add_row("Jobs", "; ".join(f"{task}: {_counts(counts)}" for task, counts in status.jobs.items()) or "none")
    table.add_row("Parts", ", ".join(f"{part} x {count}" for part, count in status.parts.items()) or "none is running")
    table.add_row(
        "Models",
        ", ".join(f"{m['name']} {m['version']} ({'loaded' if m['loaded'] else 'not loaded'})" for m in status.models)
        or "none",
    )
    for build in status.building:
        doing = f"{build['phase']}, {build['share']:.0%}, for {build['seconds']} s"
        table.add_row("Engine", f"{build['model']} is being built for this GPU: {doing}")
    table.add_row("Disk", "a bucket" if status.disk_free_mb is None else f"{status.disk_free_mb} MB free")
    return Group(table)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items()) or "none"
