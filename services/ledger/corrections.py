"""Rows around corrections as DICOM: accepted labels that go back to the PACS, and what an arriving one corrects."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.prediction import ModelIdentity, Urgency
from services.ledger.database import Connection
from services.ledger.jobs import defer, record_event
from services.ledger.results import NewResult, insert


@dataclass(frozen=True)
class Accepted:
    """An accepted label of a model's answer, before it is written as DICOM.

    Attributes:
        mask_digest: storage key of the mask.
        people: slot and account of everybody who handed in, and who accepted it last.
        predecessor: Study, Series and SOP Instance UID and SOP Class of the Segmentation it replaces; None: no such
            object was written.
    """

    workitem_id: int
    analysis_id: int
    task: str
    study_uid: str
    series_uid: str
    mask_digest: str
    unchanged: bool
    people: tuple[tuple[str, str], ...]
    accepted_at: datetime
    model: ModelIdentity
    input_digest: str
    urgency: Urgency
    predecessor: tuple[str, str, str, str] | None


def load(connection: Connection, workitem_id: int) -> Accepted | None:
    """What to write for a workitem; None when it is no longer accepted, or corrects no model's answer."""
    row = connection.execute(
        """SELECT w.id, w.task, w.study_uid, w.series_uid, w.round, w.analysis_id, n.mask_digest,
                  n.mask_digest = w.ai_digest AS unchanged, a.model, a.model_version, a.weights_digest, a.input_digest,
                  a.urgency, d.at, d.account
           FROM workitem w JOIN annotation n ON n.id = w.standing_id JOIN analysis a ON a.id = w.analysis_id
           JOIN LATERAL (SELECT at, account FROM decision WHERE workitem_id = w.id AND target = 'accepted'
                         ORDER BY id DESC LIMIT 1) d ON true
           WHERE w.id = %s AND w.state = 'accepted' AND w.purpose = 'work'""",
        [workitem_id],
    ).fetchone()
    if row is None:
        return None
    drew = connection.execute(
        """SELECT DISTINCT slot, author FROM annotation
           WHERE workitem_id = %s AND submitted AND author IS NOT NULL ORDER BY slot, author""",
        [workitem_id],
    ).fetchall()
    earlier = connection.execute(
        """SELECT r.series_uid, r.sop_class_uid, r.sop_instance_uid FROM result r
           WHERE r.analysis_id = %s AND r.kind IN ('seg', 'correction') ORDER BY r.id DESC LIMIT 1""",
        [row["analysis_id"]],
    ).fetchone()
    return Accepted(
        workitem_id=row["id"],
        analysis_id=row["analysis_id"],
        task=row["task"],
        study_uid=row["study_uid"],
        series_uid=row["series_uid"],
        mask_digest=row["mask_digest"],
        unchanged=bool(row["unchanged"]),
        people=(*((each["slot"], each["author"]) for each in drew), ("accepted", row["account"])),
        accepted_at=row["at"],
        model=ModelIdentity(row["model"], row["model_version"], row["weights_digest"]),
        input_digest=row["input_digest"],
        urgency=Urgency(row["urgency"]),
        predecessor=None
        if earlier is None
        else (row["study_uid"], earlier["series_uid"], earlier["sop_class_uid"], earlier["sop_instance_uid"]),
    )


def save(connection: Connection, accepted: Accepted, result: NewResult, destinations: Sequence[str]) -> bool:
    """Commit a corrected Segmentation and queue its deliveries; an earlier correction of the answer is replaced.

    Returns:
        False when exactly this object is there already.
    """
    known = connection.execute("SELECT 1 FROM result WHERE sop_instance_uid = %s", [result.sop_instance_uid]).fetchone()
    if known is not None:
        return False
    connection.execute(
        """UPDATE result SET superseded_at = clock_timestamp()
           WHERE analysis_id = %s AND kind = 'correction' AND superseded_at IS NULL""",
        [accepted.analysis_id],
    )
    identifier = insert(connection, accepted.analysis_id, result)
    for destination in destinations:
        delivery = connection.execute(
            "INSERT INTO delivery (result_id, destination) VALUES (%s, %s) RETURNING id", [identifier, destination]
        ).fetchone()
        assert delivery is not None
        defer(connection, "deliver", delivery["id"], priority=10 - int(accepted.urgency))
    record_event(
        connection,
        "workitem",
        accepted.workitem_id,
        "written",
        study_uid=accepted.study_uid,
        results={result.sop_instance_uid: result.kind},
    )
    return True


def note(connection: Connection, accepted: Accepted, kind: str, reason: str) -> None:
    """Say in the history why no object was written."""
    record_event(connection, "workitem", accepted.workitem_id, kind, study_uid=accepted.study_uid, reason=reason)


@dataclass(frozen=True)
class Arrived:
    """A Segmentation that came in."""

    digest: str
    study_uid: str
    sop_instance_uid: str
    calling_ae: str


def arrived(connection: Connection, instance_id: int) -> Arrived | None:
    """A Segmentation that came in; None for one of our own on its way back."""
    row = connection.execute(
        """SELECT i.digest, i.study_uid, i.sop_instance_uid, coalesce(a.calling_ae, '') AS calling_ae
           FROM instance i LEFT JOIN association a ON a.id = i.association_id
           WHERE i.id = %s AND NOT i.conflict
             AND NOT EXISTS (SELECT FROM result r WHERE r.sop_instance_uid = i.sop_instance_uid)""",
        [instance_id],
    ).fetchone()
    return Arrived(**row) if row else None


def find_answer(connection: Connection, study_uid: str, references: Iterable[str]) -> int | None:
    """The answer that an object's references lead to: to a result of ours, else to the images of the only answer.

    Most viewers name the images a segmentation was drawn on and not the segmentation they began from.
    """
    wanted = list(references)
    row = connection.execute(
        """SELECT r.analysis_id FROM result r JOIN analysis a ON a.id = r.analysis_id
           WHERE r.sop_instance_uid = ANY(%s) AND a.study_uid = %s AND a.state = 'analysed'
           ORDER BY r.id DESC LIMIT 1""",
        [wanted, study_uid],
    ).fetchone()
    if row is not None:
        return int(row["analysis_id"])
    rows = connection.execute(
        """SELECT a.id FROM analysis a
           WHERE a.study_uid = %s AND a.state = 'analysed' AND a.segmentation_key IS NOT NULL
             AND EXISTS (SELECT FROM instance i WHERE i.sop_instance_uid = ANY(%s)
                         AND i.series_uid IN (SELECT value FROM jsonb_each_text(a.inputs)))""",
        [study_uid, wanted],
    ).fetchall()
    return int(rows[0]["id"]) if len(rows) == 1 else None


def written(connection: Connection, analysis_id: int) -> str | None:
    """Storage key of the newest Segmentation of an answer, corrected or not; None when there is none."""
    row = connection.execute(
        "SELECT digest FROM result WHERE analysis_id = %s AND kind IN ('seg', 'correction') ORDER BY id DESC LIMIT 1",
        [analysis_id],
    ).fetchone()
    return row["digest"] if row else None


def note_arrival(connection: Connection, came: Arrived, kind: str, **detail: str | int) -> None:
    """Say in the history what became of a Segmentation that came in."""
    record_event(connection, "instance", came.sop_instance_uid, kind, study_uid=came.study_uid, **detail)
