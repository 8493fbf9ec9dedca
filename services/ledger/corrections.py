"""Rows around corrections as DICOM: accepted labels that go back to the PACS, and what an arriving one corrects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.prediction import ModelIdentity, Urgency
from services.ledger.database import Connection
from services.ledger.jobs import record_event
from services.ledger.results import NewResult, insert, send


@dataclass(frozen=True)
class Written:
    """An object of ours that another one replaces."""

    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class Origin:
    """What a workitem's masks are made from.

    Attributes:
        analysis_id, model: of the answer that it corrects; None: drawn on the images alone.
        input_digest: SHA-256 over the instances analysed; empty without an answer.
        segmentation, report: the newest that were written of the answer or of an earlier label; None: none was.
    """

    workitem_id: int
    study_uid: str
    series_uid: str
    task: str
    urgency: Urgency
    analysis_id: int | None
    model: ModelIdentity | None
    input_digest: str
    segmentation: Written | None
    report: Written | None


@dataclass(frozen=True)
class Accepted:
    """An accepted label, before it is written as DICOM.

    Attributes:
        mask_digest: storage key of the mask.
        unchanged: exactly as the model drew it.
        drew: slot and account of everybody who handed in.
    """

    origin: Origin
    mask_digest: str
    unchanged: bool
    drew: tuple[tuple[str, str], ...]
    accepted_by: str
    accepted_at: datetime


def origin(connection: Connection, workitem_id: int) -> Origin | None:
    """What a workitem's masks are made from; None: there is no such workitem."""
    row = connection.execute(
        """SELECT w.task, w.study_uid, w.series_uid, w.analysis_id, a.model, a.model_version, a.weights_digest,
                  coalesce(a.input_digest, '') AS input_digest, coalesce(a.urgency, w.priority) AS urgency
           FROM workitem w LEFT JOIN analysis a ON a.id = w.analysis_id WHERE w.id = %s""",
        [workitem_id],
    ).fetchone()
    if row is None:
        return None
    return Origin(
        workitem_id=workitem_id,
        study_uid=row["study_uid"],
        series_uid=row["series_uid"],
        task=row["task"],
        urgency=Urgency(row["urgency"]),
        analysis_id=row["analysis_id"],
        model=ModelIdentity(row["model"], row["model_version"], row["weights_digest"]) if row["model"] else None,
        input_digest=row["input_digest"],
        segmentation=_newest(connection, workitem_id, row["analysis_id"], ("seg", "correction")),
        report=_newest(connection, workitem_id, row["analysis_id"], ("sr", "correction_sr")),
    )


def load(connection: Connection, workitem_id: int) -> Accepted | None:
    """What to write for a workitem; None when it is no longer accepted."""
    row = connection.execute(
        """SELECT n.mask_digest, coalesce(n.mask_digest = w.ai_digest, false) AS unchanged, d.at, d.account
           FROM workitem w JOIN annotation n ON n.id = w.standing_id
           JOIN LATERAL (SELECT at, account FROM decision WHERE workitem_id = w.id AND target = 'accepted'
                         ORDER BY id DESC LIMIT 1) d ON true
           WHERE w.id = %s AND w.state = 'accepted' AND w.purpose = 'work'""",
        [workitem_id],
    ).fetchone()
    made_from = origin(connection, workitem_id) if row is not None else None
    if row is None or made_from is None:
        return None
    drew = connection.execute(
        """SELECT DISTINCT slot, author FROM annotation
           WHERE workitem_id = %s AND submitted AND author IS NOT NULL ORDER BY slot, author""",
        [workitem_id],
    ).fetchall()
    return Accepted(
        origin=made_from,
        mask_digest=row["mask_digest"],
        unchanged=row["unchanged"],
        drew=tuple((each["slot"], each["author"]) for each in drew),
        accepted_by=row["account"],
        accepted_at=row["at"],
    )


def save(
    connection: Connection,
    accepted: Accepted,
    results: Sequence[NewResult],
    destinations: Mapping[str, Sequence[str]],
) -> bool:
    """Commit what was written of an accepted label and queue its deliveries; what an earlier one left is replaced.

    Args:
        destinations: names by kind of result.

    Returns:
        False when exactly these objects are there already.
    """
    uids = [result.sop_instance_uid for result in results]
    known = connection.execute("SELECT 1 FROM result WHERE sop_instance_uid = ANY(%s)", [uids]).fetchone()
    if known is not None:
        return False
    made_from = accepted.origin
    connection.execute(
        """UPDATE result SET superseded_at = clock_timestamp()
           WHERE (workitem_id = %s OR analysis_id = %s) AND kind IN ('correction', 'correction_sr')
             AND superseded_at IS NULL""",
        [made_from.workitem_id, made_from.analysis_id],
    )
    for result in results:
        identifier = insert(
            connection,
            result,
            made_from.study_uid,
            analysis_id=made_from.analysis_id,
            workitem_id=made_from.workitem_id,
        )
        send(connection, identifier, destinations.get(result.kind, ()), made_from.urgency)
    record_event(
        connection,
        "workitem",
        made_from.workitem_id,
        "written",
        study_uid=made_from.study_uid,
        results={result.sop_instance_uid: result.kind for result in results},
    )
    return True


def note(connection: Connection, accepted: Accepted, kind: str, reason: str) -> None:
    """Say in the history why no object was written."""
    made_from = accepted.origin
    record_event(connection, "workitem", made_from.workitem_id, kind, study_uid=made_from.study_uid, reason=reason)


def _newest(connection: Connection, workitem_id: int, analysis_id: int | None, kinds: Sequence[str]) -> Written | None:
    row = connection.execute(
        """SELECT series_uid, sop_class_uid, sop_instance_uid FROM result
           WHERE (workitem_id = %s OR analysis_id = %s) AND kind = ANY(%s) ORDER BY id DESC LIMIT 1""",
        [workitem_id, analysis_id, list(kinds)],
    ).fetchone()
    return Written(**row) if row else None


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


def find_workitem(connection: Connection, study_uid: str, references: Iterable[str]) -> int | None:
    """The workitem without an answer that an object's references lead to: by a label of it that was written, else as
    the only one that is being drawn on these images."""
    rows = connection.execute(
        """SELECT w.id, EXISTS (SELECT FROM result r WHERE r.workitem_id = w.id AND r.sop_instance_uid = ANY(%(uids)s))
                  AS written
           FROM workitem w
           WHERE w.study_uid = %(study)s AND w.purpose = 'work' AND w.analysis_id IS NULL
             AND (EXISTS (SELECT FROM result r WHERE r.workitem_id = w.id AND r.sop_instance_uid = ANY(%(uids)s))
                  OR w.state IN ('to_annotate', 'returned')
                     AND EXISTS (SELECT FROM instance i WHERE i.series_uid = w.series_uid
                                 AND i.sop_instance_uid = ANY(%(uids)s)))
           ORDER BY written DESC, w.id""",
        {"study": study_uid, "uids": list(references)},
    ).fetchall()
    return int(rows[0]["id"]) if rows and (rows[0]["written"] or len(rows) == 1) else None


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
