"""Accepted labels with everything that says where they come from: what a dataset is made of."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from services.ledger.database import Connection
from services.ledger.gradings import LabelAgreement


@dataclass(frozen=True)
class HandIn:
    """A mask that somebody handed in on the way; account None: Nightjar's, from the readings."""

    round: int
    slot: str
    account: str | None
    mask_digest: str
    tool: str


@dataclass(frozen=True)
class ReadersAgreement(LabelAgreement):
    """How far the two readings of a round agreed on one label, and whose they were."""

    round: int
    first: str
    second: str


@dataclass(frozen=True)
class AcceptedLabel:
    """The label that stands for an accepted workitem.

    Attributes:
        series_uid: images it lies on; `inputs` has the others by role, as the model saw them: the one that was
            corrected, else the task's on the same images.
        mask_digest: storage key of the mask (services.review.masks).
        tool: what drew it; "majority vote" and "STAPLE" are of the readings.
        unchanged: exactly as the AI drew it.
        people: slot, account and how often they handed in, of everybody who did.
        hand_ins: every mask that was handed in, in order.
        agreement: of two readings, by round and label; empty for one reader.
        quality: grades of the images: account, scale, value, motion, metal, note.
        conformance: lines of the protocol check, or None where the task has none.
    """

    workitem_id: int
    task: str
    study_uid: str
    series_uid: str
    mask_digest: str
    tool: str
    labels: dict[str, dict[str, float | None]]
    unchanged: bool
    accepted_at: datetime
    accepted_by: str
    rounds: int
    model: str | None
    model_version: str | None
    weights_digest: str | None
    inputs: dict[str, str]
    people: tuple[tuple[str, str, int], ...]
    hand_ins: tuple[HandIn, ...]
    agreement: tuple[ReadersAgreement, ...]
    quality: tuple[dict[str, Any], ...]
    conformance: list[dict[str, Any]] | None


def list_accepted(
    connection: Connection, task: str | None = None, since: datetime | None = None, *, model: str | None = None
) -> list[AcceptedLabel]:
    """Labels of workitems that are accepted now, in the order in which they were; tests and training left out.

    Args:
        model: what it took beside the images of a label that corrects no answer goes with that label.
    """
    rows = connection.execute(
        """SELECT w.id, w.task, w.study_uid, w.series_uid, w.round, n.mask_digest, n.tool, n.labels,
                  n.mask_digest = w.ai_digest AS unchanged, d.at, d.account, a.model, a.model_version, a.weights_digest,
                  coalesce(a.inputs, beside.inputs, '{}') AS inputs, c.lines
           FROM workitem w JOIN annotation n ON n.id = w.standing_id
           JOIN LATERAL (SELECT at, account FROM decision WHERE workitem_id = w.id AND target = 'accepted'
                         ORDER BY id DESC LIMIT 1) d ON true
           LEFT JOIN analysis a ON a.id = w.analysis_id LEFT JOIN conformance c ON c.workitem_id = w.id
           LEFT JOIN LATERAL (SELECT b.inputs FROM analysis b WHERE b.study_uid = w.study_uid AND b.model = %(model)s
                                AND EXISTS (SELECT FROM jsonb_each_text(b.inputs) role WHERE role.value = w.series_uid)
                              ORDER BY b.id DESC LIMIT 1) beside ON w.analysis_id IS NULL
           WHERE w.state = 'accepted' AND w.purpose = 'work' AND (%(task)s::text IS NULL OR w.task = %(task)s)
             AND (%(since)s::timestamptz IS NULL OR d.at > %(since)s)
           ORDER BY d.at, w.id""",
        {"task": task, "since": since, "model": model},
    ).fetchall()
    identifiers = [row["id"] for row in rows]
    people = _grouped(
        connection,
        """SELECT workitem_id, slot, author, count(*) AS n FROM annotation
           WHERE workitem_id = ANY(%s) AND submitted AND author IS NOT NULL
           GROUP BY workitem_id, slot, author ORDER BY slot, author""",
        identifiers,
    )
    agreement = _grouped(
        connection,
        """SELECT g.workitem_id, g.round, g.label, g.first_ml, g.second_ml, g.dice, g.nsd, g.hd95_mm, g.lesion_f1,
                  g.outside, a.author AS first, b.author AS second
           FROM agreement g JOIN annotation a ON a.id = g.first_id JOIN annotation b ON b.id = g.second_id
           WHERE g.workitem_id = ANY(%s) ORDER BY g.id""",
        identifiers,
    )
    hand_ins = _grouped(
        connection,
        """SELECT workitem_id, round, slot, author AS account, mask_digest, tool FROM annotation
           WHERE workitem_id = ANY(%s) AND submitted ORDER BY id""",
        identifiers,
    )
    quality = _grouped(
        connection,
        """SELECT DISTINCT ON (workitem_id, account) workitem_id, account, scale, value, motion, metal, note
           FROM image_quality WHERE workitem_id = ANY(%s) ORDER BY workitem_id, account, id DESC""",
        identifiers,
    )
    return [
        AcceptedLabel(
            workitem_id=row["id"],
            task=row["task"],
            study_uid=row["study_uid"],
            series_uid=row["series_uid"],
            mask_digest=row["mask_digest"],
            tool=row["tool"],
            labels=row["labels"],
            unchanged=bool(row["unchanged"]),
            accepted_at=row["at"],
            accepted_by=row["account"],
            rounds=row["round"],
            model=row["model"],
            model_version=row["model_version"],
            weights_digest=row["weights_digest"],
            inputs=row["inputs"],
            people=tuple((each["slot"], each["author"], each["n"]) for each in people[row["id"]]),
            hand_ins=tuple(HandIn(**each) for each in hand_ins[row["id"]]),
            agreement=tuple(_agreement(each) for each in agreement[row["id"]]),
            quality=tuple(quality[row["id"]]),
            conformance=row["lines"],
        )
        for row in rows
    ]


def _grouped(connection: Connection, query: str, identifiers: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(query.encode(), [identifiers]).fetchall():
        found[row.pop("workitem_id")].append(row)
    return found


def _agreement(row: dict[str, Any]) -> ReadersAgreement:
    return ReadersAgreement(**{**row, "outside": tuple(row["outside"])})


def label_to_json(label: AcceptedLabel) -> dict[str, Any]:
    """A label in plain types, without what people typed."""
    plain = asdict(label)
    for grade in plain["quality"]:
        grade.pop("note", None)
    return {**plain, "accepted_at": label.accepted_at.isoformat()}


def label_from_json(plain: dict[str, Any]) -> AcceptedLabel:
    """What `label_to_json` wrote."""
    return AcceptedLabel(
        **{
            **plain,
            "accepted_at": datetime.fromisoformat(plain["accepted_at"]),
            "people": tuple((slot, account, count) for slot, account, count in plain["people"]),
            "hand_ins": tuple(HandIn(**each) for each in plain["hand_ins"]),
            "agreement": tuple(_agreement(each) for each in plain["agreement"]),
            "quality": tuple(plain["quality"]),
        }
    )
