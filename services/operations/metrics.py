"""The ledger's figures for Prometheus: what waits now, and what has happened since this process started.

Labels are names that a site chose (models, destinations), words of the ledger's, or scanners by maker and model:
never a patient, a UID or a peer.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg_pool import PoolTimeout

from services.context import Context
from services.ledger import audit_sending, custody, measures
from services.ledger.database import Connection
from services.ledger.jobs import URGENT_PRIORITY
from services.operations.drift_metrics import drift_metrics
from services.operations.engine_metrics import engine_metrics
from services.operations.expert_metrics import expert_metrics
from services.operations.heartbeat import FRESH_S

SETTLED_S = 60.0
"""A transaction that took its key so long ago has committed: the flow's own end within a second."""
FLAG_BUCKETS_S = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0)
REJECT_REASONS = {0xA900: "mismatch", 0xC000: "unreadable", 0xC001: "conflict"}
ENDS = ("analysed", "failed", "superseded")
END_STATES = ("analysed", "not_applicable", "failed", "parked")

Key = tuple[str, ...]


class Tally:
    """Counts of what happened in a table since this process started, exact though rows commit out of order.

    Rows after `_after` are counted anew at each reading; once they have settled they are added up for good.
    """

    def __init__(self, what: str, fold: Callable[[Iterable[dict[str, Any]]], Counter[Key]]) -> None:
        self._what, self._fold = what, fold
        self._settled: Counter[Key] = Counter()
        self._after: int | None = None
        self._mark, self._marked_at = 0, 0.0

    def read(self, connection: Connection, now_s: float) -> Counter[Key]:
        newest = measures.newest(connection, measures.TABLES[self._what])
        if self._after is None:
            self._after = self._mark = newest
            self._marked_at = now_s
        elif now_s - self._marked_at > SETTLED_S:
            self._settled += self._count(connection, self._mark)
            self._after, self._mark, self._marked_at = self._mark, newest, now_s
        return self._settled + self._count(connection, None)

    def _count(self, connection: Connection, upto: int | None) -> Counter[Key]:
        return self._fold(measures.happened(connection, self._what, self._after or 0, upto))


class LedgerCollector(Collector):
    """Reads the ledger at every scrape.

    Args:
        parts: those that should be alive; one without a heartbeat is reported as 0.
    """

    def __init__(self, context: Context, parts: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._parts, self._clock = context, parts, clock
        self._lock = threading.Lock()
        self._weights: dict[str, str] = {}
        self._instances = Tally("instance", _by("outcome"))
        self._rejects = Tally("quarantine", _by_reason)
        self._studies = Tally("study", _by("state"))
        self._analyses = Tally("analysis", _by("model", "state"))
        self._answers = Tally("answer", _by_bucket)
        self._opinions = Tally("opinion", _by("model", "verdict"))
        self._deliveries = Tally("delivery", _by("destination", "outcome"))
        self._notifications = Tally("notification", _by("destination", "outcome"))
        with context.pool.connection() as connection:
            list(self._happened(connection))  # counting starts here

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("nightjar_ledger_up", "1 when the ledger answered this scrape.")
        try:
            with self._lock, self._context.pool.connection(timeout=5) as connection:
                families = [*self._waiting(connection), *self._happened(connection)]
        except (psycopg.OperationalError, PoolTimeout):
            families = []
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
        yield up
        yield from families
        yield from self._disk()
        yield from engine_metrics(self._context.settings.inference.engine_cache, self._weights)

    def _waiting(self, connection: Connection) -> Iterator[Metric]:
        studies = {row["state"]: row for row in measures.studies_unanswered(connection)}
        yield _gauge(
            "nightjar_studies_unanswered", "Studies without an answer, by state.", ["state"],
            {(state,): studies[state]["n"] if state in studies else 0 for state in measures.UNANSWERED_STATES},
        )  # fmt: skip
        yield _gauge(
            "nightjar_studies_oldest_seconds", "Since the last instance of the oldest study without an answer.",
            ["state"], {(state,): max(0.0, row["oldest_s"]) for state, row in studies.items()},
        )  # fmt: skip
        models = measures.analyses_waiting(connection)
        yield _gauge(
            "nightjar_model_info", "Models this installation serves.", ["model", "version"],
            {(row["model"], row["version"]): 1 for row in models},
        )  # fmt: skip
        self._weights = {row["weights_digest"]: row["model"] for row in models}
        yield _gauge(
            "nightjar_analyses_waiting", "Analyses queued and running.", ["model", "urgency", "state"],
            {(row["model"], _urgency(row), state): row[state] for row in models for state in ("queued", "running")},
        )  # fmt: skip
        yield _gauge(
            "nightjar_analyses_oldest_seconds", "Since the last instance of the analysis that waits for longest.",
            ["model", "urgency"], {(row["model"], _urgency(row)): max(0.0, row["oldest_s"]) for row in models},
        )  # fmt: skip
        jobs = measures.jobs(connection)
        yield _gauge(
            "nightjar_jobs", "Jobs waiting (todo) and running (doing), by stage.", ["stage", "state"],
            {(row["task"], state): row[state] for row in jobs for state in ("todo", "doing")},
        )  # fmt: skip
        yield _gauge(
            "nightjar_jobs_oldest_seconds", "Since the oldest waiting job of a stage was asked for.", ["stage"],
            {(row["task"],): row["oldest_s"] for row in jobs},
        )  # fmt: skip
        settings = self._context.settings
        yield _undelivered("nightjar_deliveries_undelivered", "Results not at their destination, pending or parked.",
                           [entry.name for entry in settings.destinations],
                           measures.undelivered(connection, "delivery"))  # fmt: skip
        yield _undelivered("nightjar_notifications_undelivered", "Notifications not taken, pending or parked.",
                           [entry.name for entry in settings.notifications],
                           measures.undelivered(connection, "notification"))  # fmt: skip
        yield _gauge("nightjar_associations_open", "Associations open at any listener.", [],
                     {(): measures.associations_open(connection)})  # fmt: skip
        age_s = measures.last_instance_age_s(connection)
        yield _gauge("nightjar_last_instance_age_seconds", "Since an instance was kept.", [],
                     {} if age_s is None else {(): max(0.0, age_s)})  # fmt: skip
        latest = custody.latest(connection)
        yield _gauge("nightjar_reconcile_differences", "Differences that the last `nightjar reconcile` found.", [],
                     {} if latest is None else {(): latest["differences"]})  # fmt: skip
        yield _gauge("nightjar_reconcile_age_seconds", "Since the last `nightjar reconcile`.", [],
                     {} if latest is None else {(): max(0.0, latest["age_s"])})  # fmt: skip
        alive = {row["part"]: row for row in measures.parts_alive(connection, FRESH_S)}
        yield _gauge(
            "nightjar_parts_alive", "Processes of a part that said within the last seconds that they live.", ["part"],
            {(part,): alive[part]["n"] if part in alive else 0 for part in self._parts},
        )  # fmt: skip
        yield _gauge("nightjar_inference_healthy", "Inference processes whose models all answer.", [],
                     {(): alive["inference"]["healthy"] if "inference" in alive else 0})  # fmt: skip
        if settings.audit_repository is not None:
            unsent, oldest_s = audit_sending.read_unsent(connection)
            yield _gauge("nightjar_audit_unsent", "Rows of the audit trail that the repository has not been sent.", [],
                         {(): unsent})  # fmt: skip
            yield _gauge("nightjar_audit_oldest_seconds", "Since the oldest of them was written.", [], {(): oldest_s})
        yield from expert_metrics(connection, self._context.now())
        yield from drift_metrics(connection)

    def _happened(self, connection: Connection) -> Iterator[Metric]:
        """Counters, from zero where a label can be foreseen: an increase from nothing at all is none to Prometheus."""
        now_s = self._clock()
        models = [row["model"] for row in measures.analyses_waiting(connection)]
        yield _counter("nightjar_instances", "Instances acknowledged; conflict: other bytes under a known UID.",
                       ["outcome"], self._instances.read(connection, now_s),
                       [(outcome,) for outcome in ("kept", "conflict")])  # fmt: skip
        yield _counter("nightjar_rejects", "Instances refused for good and kept in quarantine.", ["status", "reason"],
                       self._rejects.read(connection, now_s),
                       [(f"0x{status:04X}", reason) for status, reason in REJECT_REASONS.items()])  # fmt: skip
        yield _counter("nightjar_studies_ended", "Studies that came to an end state.", ["state"],
                       self._studies.read(connection, now_s), [(state,) for state in END_STATES])  # fmt: skip
        yield _counter("nightjar_analyses", "Analyses ended, by model and state.", ["model", "state"],
                       self._analyses.read(connection, now_s),
                       [(model, state) for model in models for state in ENDS])  # fmt: skip
        yield _counter("nightjar_opinions", "What readers made of an answer: agree or disagree.", ["model", "verdict"],
                       self._opinions.read(connection, now_s),
                       [(model, verdict) for model in models for verdict in ("agree", "disagree")])  # fmt: skip
        settings = self._context.settings
        for ended, retries, what, tally, entries in (
            ("nightjar_deliveries", "nightjar_delivery_retries", "delivery", self._deliveries, settings.destinations),
            ("nightjar_notifications", "nightjar_notification_retries", "notification", self._notifications,
             settings.notifications),
        ):  # fmt: skip
            names, counts = [entry.name for entry in entries], tally.read(connection, now_s)
            yield _counter(ended, f"Ends of each {what}, delivered or parked.", ["destination", "state"],
                           {key: n for key, n in counts.items() if key[1] != "retry"},
                           [(name, state) for name in names for state in ("delivered", "parked")])  # fmt: skip
            yield _counter(retries, f"Tries of a {what} that its destination did not take.", ["destination"],
                           {key[:1]: n for key, n in counts.items() if key[1] == "retry"},
                           [(name,) for name in names])  # fmt: skip
        yield _histogram(self._answers.read(connection, now_s))

    def _disk(self) -> Iterator[Metric]:
        try:
            room = self._context.store.free_bytes()
        except OSError:  # the volume is away; the ledger's figures are not
            room = None
        free: dict[Any, float] = {} if room is None else {(): room}
        yield _gauge("nightjar_disk_free_bytes", "Room left where instance bytes go.", [], free)
        yield _gauge("nightjar_disk_watermark_bytes", "Below so much room new instances are refused.", [],
                     {(): self._context.settings.router.low_disk_mb * 1_000_000})  # fmt: skip


def _urgency(row: dict[str, Any]) -> str:
    return "urgent" if row["priority"] >= URGENT_PRIORITY else "routine"


def _by(*columns: str) -> Callable[[Iterable[dict[str, Any]]], Counter[Key]]:
    def fold(rows: Iterable[dict[str, Any]]) -> Counter[Key]:
        return Counter({tuple(row[column] for column in columns): row["n"] for row in rows})

    return fold


def _by_reason(rows: Iterable[dict[str, Any]]) -> Counter[Key]:
    counts: Counter[Key] = Counter()
    for row in rows:
        counts[f"0x{row['status']:04X}", REJECT_REASONS.get(row["status"], "other")] += row["n"]
    return counts


def _by_bucket(rows: Iterable[dict[str, Any]]) -> Counter[Key]:
    """Keys (model, flag, bound) with cumulative counts, and (model, flag, "sum") with microseconds."""
    counts: Counter[Key] = Counter()
    for row in rows:
        if row["after_s"] is None:
            continue
        labels = (row["model"], "yes" if row["flag"] else "no")
        for bound in (*FLAG_BUCKETS_S, float("inf")):
            counts[*labels, f"{bound:g}"] += int(row["after_s"] <= bound)
        counts[*labels, "sum"] += int(row["after_s"] * 1e6)
    return counts


def _gauge(name: str, says: str, labels: Sequence[str], values: dict[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def _undelivered(name: str, says: str, destinations: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Metric:
    values: dict[Any, float] = {
        (destination, state): 0 for destination in destinations for state in ("pending", "parked")
    }
    values |= {(row["destination"], row["state"]): row["n"] for row in rows}
    return _gauge(name, says, ["destination", "state"], values)


def _counter(
    name: str, says: str, labels: Sequence[str], values: Mapping[Key, float], foreseen: Iterable[Key]
) -> Metric:
    family = CounterMetricFamily(name, says, labels=labels)
    for key, value in sorted({**dict.fromkeys(foreseen, 0.0), **values}.items()):
        family.add_metric(list(key), value)
    return family


def _histogram(counts: Counter[Key]) -> Metric:
    family = HistogramMetricFamily(
        "nightjar_last_instance_to_answer_seconds",
        "From the last instance an analysis read to the commit of its answer; flag says whether anything was found.",
        labels=["model", "flag"],
    )
    for labels in sorted({key[:2] for key in counts}):
        buckets = [
            ("+Inf" if bound == float("inf") else str(bound), counts[*labels, f"{bound:g}"])
            for bound in (*FLAG_BUCKETS_S, float("inf"))
        ]
        family.add_metric(list(labels), buckets, counts[*labels, "sum"] / 1e6)
    return family
