"""The JSON API: the worklist and the ledger's counts for programs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request

from services.languages import gettext
from services.ledger import worklist
from services.operations.status import collect_status
from services.triage.lists import look_at_worklist, maximum_wait, read_filters
from services.triage.rows import Filters, Row, describe_study
from services.triage.site import FIXED_LINE, SiteDependency, Viewer, audit

router = APIRouter(prefix="/api/v1")


@dataclass(frozen=True)
class FindingAnswer:
    """A suspected finding above its operating point; null where the model does not say."""

    label: str
    volume_ml: float
    volume_range_ml: tuple[float, float] | None
    abc2_ml: float | None
    urgency: int


@dataclass(frozen=True)
class AnalysisAnswer:
    """One model version on one input."""

    model: str
    model_version: str
    state: str
    reason: str | None
    analysed_at: datetime | None
    findings: tuple[FindingAnswer, ...]


@dataclass(frozen=True)
class StudyAnswer:
    """A study on the worklist.

    Attributes:
        id: what addresses call the study; not its UID.
        urgency: 1 immediate, 2 urgent, 3 standard.
        promoted: why it stands above its priority, or null.
        ai_state: the word shown on the page.
        dismissed: why a reader dismissed every flag raised, or null.
    """

    id: str
    study_uid: str
    patient_id: str | None
    patient_name: str | None
    accession_number: str | None
    description: str | None
    modalities: tuple[str, ...]
    instances: int
    urgency: int
    promoted: str | None
    arrived_at: datetime
    ai_state: str
    reason: str | None
    notes: tuple[str, ...]
    claimed_by: str | None
    dismissed: str | None
    analyses: tuple[AnalysisAnswer, ...]


@dataclass(frozen=True)
class WorklistAnswer:
    """The list in its order. `total` counts before filters, `hidden` those beyond the limit."""

    notice: str
    ai_running: bool
    total: int
    hidden: int
    studies: tuple[StudyAnswer, ...]


@router.get("/worklist")
def get_worklist(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    filters: Annotated[Filters, Depends(read_filters)],
) -> WorklistAnswer:
    """Studies in reading order; `priority`, `state` and `sort` as in the page's address."""
    listed = look_at_worklist(request, site, account, filters)
    return WorklistAnswer(
        notice=FIXED_LINE,
        ai_running=site.feed.inference_alive,
        total=listed.total,
        hidden=listed.hidden,
        studies=tuple(_answer(row) for row in listed.rows),
    )


@router.get("/studies/{study_id}")
def get_study(request: Request, site: SiteDependency, account: Viewer, study_id: str) -> StudyAnswer:
    """One study by its id of the worklist."""
    with site.connection() as connection:
        record = worklist.read_study(connection, study_id)
        if record is None:
            raise HTTPException(404, gettext("There is no such study here."))
        audit(connection, request, "study", account, study_uid=record.study.study_uid)
    return _answer(describe_study(record.study, site.context.now(), maximum_wait(site)))


@router.get("/status")
def get_status(site: SiteDependency, account: Viewer) -> dict[str, Any]:  # noqa: ARG001
    """How many instances, series and studies are in each state; no patient data."""
    return collect_status(site.context).as_dict()


def _answer(row: Row) -> StudyAnswer:
    study = row.facts
    return StudyAnswer(
        id=study.key,
        study_uid=study.study_uid,
        patient_id=study.patient_id,
        patient_name=study.patient_name,
        accession_number=study.accession_number,
        description=study.description,
        modalities=study.modalities,
        instances=study.instances,
        urgency=int(row.urgency),
        promoted=row.promoted,
        arrived_at=study.arrived_at,
        ai_state=row.ai_state.value,
        reason=study.reason,
        notes=row.notes,
        claimed_by=study.claimed_by,
        dismissed=row.dismissed.reason if row.dismissed is not None else None,
        analyses=tuple(
            AnalysisAnswer(
                model=analysis.model,
                model_version=analysis.model_version,
                state=analysis.state,
                reason=analysis.reason,
                analysed_at=analysis.analysed_at,
                findings=tuple(
                    FindingAnswer(
                        label=finding.label,
                        volume_ml=round(finding.volume_ml, 2),
                        volume_range_ml=finding.volume_range_ml,
                        abc2_ml=finding.abc2_ml,
                        urgency=finding.urgency,
                    )
                    for finding in analysis.findings
                ),
            )
            for analysis in study.analyses
        ),
    )
