"""How long each stage of the pipeline took, analysis by analysis, as the ledger's own times say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import fmean
from typing import Any

from services.ledger.database import Connection

STAGES = ("complete", "route", "queue", "infer", "encode", "deliver")
"""From the last instance to the series' completion, to the queued analysis, to its start, to its answer, to the
encoded results, to the last of them at its destination."""


@dataclass(frozen=True)
class Passage:
    """One analysis on its way; times in seconds since 1970, None where it did not get so far."""

    study_uid: str
    model: str
    flagged: bool
    first_instance_at: float
    last_instance_at: float
    stages: tuple[float | None, ...]

    @property
    def flag_s(self) -> float | None:
        """From the last instance it read to its answer."""
        taken = self.stages[: STAGES.index("infer") + 1]
        return None if None in taken else sum(each for each in taken if each is not None)


def read_passages(connection: Connection, studies: Sequence[str]) -> list[Passage]:
    """Every analysis of some studies that was not superseded, by its last instance."""
    rows = connection.execute(
        """SELECT a.study_uid, a.model, EXISTS (SELECT FROM finding f WHERE f.analysis_id = a.id) AS flagged,
                  arrived.first_at, arrived.last_at,
                  (SELECT max(e.at) FROM event e WHERE e.entity = 'series' AND e.detail ->> 'to' = 'complete'
                      AND e.at <= a.queued_at AND e.entity_id IN (SELECT value FROM jsonb_each_text(a.inputs)))
                      AS complete_at,
                  a.queued_at, a.started_at, a.analysed_at, a.encoded_at,
                  (SELECT max(d.delivered_at) FROM delivery d JOIN result r ON r.id = d.result_id
                      WHERE r.analysis_id = a.id) AS delivered_at
           FROM analysis a CROSS JOIN LATERAL (
               SELECT min(i.received_at) AS first_at, max(i.received_at) AS last_at
               FROM jsonb_each_text(a.inputs) AS input JOIN instance i ON i.series_uid = input.value
               WHERE NOT i.conflict) arrived
           WHERE a.study_uid = ANY(%s) AND a.state != 'superseded' ORDER BY arrived.last_at""",
        [list(studies)],
    ).fetchall()
    return [_passage(row) for row in rows]


def mean_stages(passages: Iterable[Passage]) -> dict[str, float]:
    """The mean of each stage over those that came so far, seconds."""
    taken: dict[str, list[float]] = {name: [] for name in STAGES}
    for passage in passages:
        for name, seconds in zip(STAGES, passage.stages, strict=True):
            if seconds is not None:
                taken[name].append(seconds)
    return {name: fmean(values) for name, values in taken.items() if values}


def _passage(row: dict[str, Any]) -> Passage:
    times: list[datetime | None] = [row["last_at"], row["complete_at"], row["queued_at"], row["started_at"]]
    times += [row["analysed_at"], row["encoded_at"], row["delivered_at"]]
    stages = tuple(
        None if earlier is None or later is None else max(0.0, (later - earlier).total_seconds())
        for earlier, later in pairwise(times)
    )
    first, last = row["first_at"].timestamp(), row["last_at"].timestamp()
    return Passage(row["study_uid"], row["model"], row["flagged"], first, last, stages)
