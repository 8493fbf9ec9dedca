"""Was anything lost? What scanners were told against what the ledger, the store and the PACS hold afterwards."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from load_tests.scanners import Sent
from services.ledger.database import Connection
from services.ledger.demonstration import END_STATES
from services.storage import Store


@dataclass(frozen=True)
class Custody:
    """What became of everything that was acknowledged; the tuples name what is wrong, UIDs.

    Attributes:
        acknowledged: instances answered with success.
        lost: acknowledged, and the ledger has no row of it.
        without_bytes: acknowledged, and the store does not hold its bytes.
        without_end: studies that neither ended nor said why.
        otherwise: studies that ended in another state than such a study should.
        without_result: studies that count as analysed, and an answer or its results are missing.
        undelivered: results that are not at their destination, by the ledger or by the destination itself.
        twice: studies whose answer was committed more than once for the same input.
    """

    acknowledged: int
    studies: int
    lost: tuple[str, ...]
    without_bytes: tuple[str, ...]
    without_end: tuple[str, ...]
    otherwise: tuple[str, ...]
    without_result: tuple[str, ...]
    undelivered: tuple[str, ...]
    twice: tuple[str, ...]

    @property
    def losses(self) -> int:
        """Accepted work that did not end as it should."""
        return sum(map(len, self.wrong.values()))

    @property
    def wrong(self) -> dict[str, tuple[str, ...]]:
        """What is not as it should be, by kind."""
        return {name: uids for name, uids in vars(self).items() if isinstance(uids, tuple) and uids}


def settled(connection: Connection, sent: Sequence[Sent]) -> bool:
    """Whether every study of `sent` has ended and everything that goes out has gone out."""
    rows = connection.execute(
        """SELECT study_uid FROM study WHERE study_uid = ANY(%s) AND state = ANY(%s)
             AND NOT EXISTS (SELECT FROM analysis a WHERE a.study_uid = study.study_uid
                 AND (a.state IN ('queued', 'running') OR a.state = 'analysed' AND encoded_at IS NULL))
             AND NOT EXISTS (SELECT FROM delivery d JOIN result r ON r.id = d.result_id
                 JOIN analysis a ON a.id = r.analysis_id
                 WHERE a.study_uid = study.study_uid AND d.state = 'pending')""",
        [[each.study.study_uid for each in sent], list(END_STATES)],
    ).fetchall()
    return len(rows) == len(sent)


def judge(
    connection: Connection,
    sent: Sequence[Sent],
    store: Store | None = None,
    received: Callable[[str], Collection[str]] | None = None,
) -> Custody:
    """Compare.

    Args:
        store: where the bytes lie; None: not looked at.
        received: the results a PACS holds of a study, SOP Instance UIDs; None: not asked.
    """
    acknowledged = {uid for each in sent for uid in each.acknowledged}
    kept = {
        row["sop_instance_uid"]: row["digest"]
        for row in connection.execute(
            "SELECT sop_instance_uid, digest FROM instance WHERE sop_instance_uid = ANY(%s) AND NOT conflict",
            [list(acknowledged)],
        )
    }
    whole = {each.study.study_uid: each for each in sent if len(each.acknowledged) == each.study.instances}
    states = {
        row["study_uid"]: row["state"]
        for row in connection.execute("SELECT study_uid, state FROM study WHERE study_uid = ANY(%s)", [list(whole)])
    }
    results = _results(connection, list(whole))
    at_pacs = {uid: set(received(uid)) for uid in whole} if received is not None else None
    return Custody(
        acknowledged=len(acknowledged),
        studies=len(whole),
        lost=tuple(sorted(acknowledged - set(kept))),
        without_bytes=()
        if store is None
        else tuple(sorted(uid for uid, digest in kept.items() if not store.holds(digest))),
        without_end=tuple(sorted(uid for uid in whole if states.get(uid) not in END_STATES)),
        otherwise=tuple(
            sorted(uid for uid, e in whole.items() if states.get(uid) in END_STATES and states[uid] != e.study.expected)
        ),
        without_result=_without_result(connection, list(whole)),
        undelivered=tuple(
            sorted(
                row["sop_instance_uid"]
                for row in results
                if row["state"] != "delivered"
                or (at_pacs is not None and row["sop_instance_uid"] not in at_pacs[row["study_uid"]])
            )
        ),
        twice=_twice(connection, list(whole)),
    )


def _results(connection: Connection, studies: Sequence[str]) -> list[dict[str, Any]]:
    # A derived series is delivered as one: its images share the delivery of the first.
    return connection.execute(
        """SELECT a.study_uid, r.sop_instance_uid, coalesce(d.state, whole.state) AS state
           FROM result r JOIN analysis a ON a.id = r.analysis_id LEFT JOIN delivery d ON d.result_id = r.id
           LEFT JOIN LATERAL (SELECT d2.state FROM delivery d2 JOIN result r2 ON r2.id = d2.result_id
               WHERE r2.analysis_id = r.analysis_id AND r2.series_uid = r.series_uid LIMIT 1) whole ON true
           WHERE a.study_uid = ANY(%s) AND r.superseded_at IS NULL AND a.state = 'analysed'""",
        [studies],
    ).fetchall()


def _without_result(connection: Connection, studies: Sequence[str]) -> tuple[str, ...]:
    rows = connection.execute(
        """SELECT s.study_uid FROM study s LEFT JOIN analysis a ON a.study_uid = s.study_uid AND a.state = 'analysed'
           WHERE s.study_uid = ANY(%s) AND s.state = 'analysed' AND NOT EXISTS
               (SELECT FROM result r WHERE r.analysis_id = a.id AND r.superseded_at IS NULL)
           GROUP BY s.study_uid ORDER BY s.study_uid""",
        [studies],
    ).fetchall()
    return tuple(row["study_uid"] for row in rows)


def _twice(connection: Connection, studies: Sequence[str]) -> tuple[str, ...]:
    rows = connection.execute(
        """SELECT study_uid FROM event WHERE entity = 'analysis' AND detail ->> 'to' = 'analysed'
             AND study_uid = ANY(%s) GROUP BY study_uid, entity_id HAVING count(*) > 1 ORDER BY study_uid""",
        [studies],
    ).fetchall()
    return tuple(row["study_uid"] for row in rows)
