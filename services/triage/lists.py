"""The list of the moment: filters from an address, and the worklist they leave."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request

from models.prediction import Urgency
from services.ledger import worklist
from services.ledger.accounts import Account
from services.triage.rows import AiState, Filters, Sort, Worklist, build_worklist
from services.triage.site import Site, address_of, audit

# The list looks back so far, and says so.
WINDOW = timedelta(hours=72)
ROWS_SHOWN = 500


def read_filters(
    priority: Annotated[str | None, Query(max_length=20)] = None,
    state: Annotated[str | None, Query(max_length=20)] = None,
    sort: Annotated[str | None, Query(max_length=20)] = None,
) -> Filters:
    """Filters from an address; what is no filter is left out, for an old bookmark must still open the list."""
    urgencies = {urgency.name.lower(): urgency for urgency in Urgency}
    states = {known.slug: known for known in AiState}
    return Filters(
        urgency=urgencies.get(priority or ""),
        state=states.get(state or ""),
        sort=Sort.ARRIVAL if sort == Sort.ARRIVAL else Sort.PRIORITY,
    )


def look_at_worklist(request: Request, site: Site, account: Account, filters: Filters) -> Worklist:
    """The list as of now; the look is in the audit trail before anything is shown."""
    now = site.context.now()
    if site.looks.is_new(now, account.name, address_of(request)):
        with site.connection() as connection:
            audit(connection, request, "worklist", account)
    with site.connection() as connection:
        studies = worklist.list_studies(connection, now - WINDOW)
    return build_worklist(studies, filters, now, maximum_wait(site), ROWS_SHOWN)


def maximum_wait(site: Site) -> timedelta:
    return timedelta(minutes=site.context.settings.web.maximum_wait_minutes)


def address_with(filters: Filters, **changes: Urgency | AiState | Sort | None) -> str:
    """The list's address with some filters changed; None takes a filter away."""
    urgency = changes.get("urgency", filters.urgency)
    state = changes.get("state", filters.state)
    sort = changes.get("sort", filters.sort)
    query = {}
    if isinstance(urgency, Urgency):
        query["priority"] = urgency.name.lower()
    if isinstance(state, AiState):
        query["state"] = state.slug
    if sort is Sort.ARRIVAL:
        query["sort"] = Sort.ARRIVAL.value
    return f"/?{urlencode(query)}" if query else "/"
