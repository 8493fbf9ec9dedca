"""The summary of a shift, for hand-over and for paper."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from models.prediction import Urgency
from services.ledger import worklist
from services.ledger.accounts import Role, list_readers
from services.ledger.worklist import StudyFacts
from services.triage.lists import maximum_wait
from services.triage.rows import AiState, Row, describe_study
from services.triage.site import SiteDependency, Viewer, audit

HOURS = (8, 12, 24, 72)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Shift:
    """What came in within a shift, and what is left to do; rows in reading order.

    Attributes:
        open_flags: flags nobody claimed or dismissed.
        answered: flags that were claimed, dismissed or said something of.
        without_answer: studies whose answer was expected and is missing.
        held: rows by reader.
    """

    total: int
    by_urgency: dict[Urgency, int]
    by_state: dict[AiState, int]
    open_flags: tuple[Row, ...]
    answered: tuple[Row, ...]
    without_answer: tuple[Row, ...]
    held: dict[str, tuple[Row, ...]]
    longest_wait: timedelta | None


def summarise(studies: Sequence[StudyFacts], now: datetime, maximum: timedelta) -> Shift:
    """Sort the studies of a shift by what still has to be done. Pure."""
    rows = sorted((describe_study(study, now, maximum) for study in studies), key=lambda row: row.order)
    flags = [row for row in rows if row.ai_state is AiState.FLAG]
    is_open = {row.key: row.reader is None and row.dismissed is None for row in flags}
    readers = sorted({row.reader for row in rows if row.reader is not None})
    waits = [now - row.waited_since for row in rows if row.waited_until is None]
    return Shift(
        total=len(rows),
        by_urgency=dict(Counter(row.urgency for row in rows)),
        by_state=dict(Counter(row.ai_state for row in rows)),
        open_flags=tuple(row for row in flags if is_open[row.key]),
        answered=tuple(row for row in flags if not is_open[row.key]),
        without_answer=tuple(row for row in rows if row.attention),
        held={name: tuple(row for row in rows if row.reader == name) for name in readers},
        longest_wait=max(waits, default=None),
    )


@router.get("/shift")
def show_shift(
    request: Request, site: SiteDependency, account: Viewer, hours: Annotated[int, Query(ge=1, le=72)] = 12
) -> Response:
    """The studies of the last hours, for whoever reads next; prints on white."""
    now = site.context.now()
    with site.connection() as connection:
        studies = worklist.list_studies(connection, now - timedelta(hours=hours))
        audit(connection, request, "shift", account)
        readers = list_readers(connection)
    return site.render(
        request,
        "shift.html",
        shift=summarise(studies, now, maximum_wait(site)),
        hours=hours,
        choices=HOURS,
        since=now - timedelta(hours=hours),
        now=now,
        urgencies=tuple(Urgency),
        states=tuple(AiState),
        others=[name for name in readers if name != account.name],
        may_claim=Role.RADIOLOGIST in account.roles,
    )
