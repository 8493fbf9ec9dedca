"""What the endpoints share: dependencies, who may do what, the audit trail, and how errors look."""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from services.context import Context
from services.languages import gettext, mark
from services.languages.templates import install
from services.ledger.accounts import Account, Role
from services.ledger.audit import record_audit
from services.ledger.database import Connection
from services.triage.images import Shelf
from services.triage.live import LiveFeed
from services.triage.provider import Provider
from services.triage.rows import (
    format_date,
    format_measurement,
    format_person_name,
    format_range,
    format_volume,
    format_wait,
)
from services.triage.sessions import FailureBrake, Sessions
from services.triage.words import capital, kind_words, list_of, role_name, state_words

FIXED_LINE = mark("Prioritisation only. Not for diagnosis. Read the full study in PACS.")
LIVE_HEADER = "x-nightjar-live"
PROGRAMS = "/dicom-web/"
"""Addresses that programs use: they sign in with every request, and an error is JSON."""

# The ledger answers in milliseconds or is in trouble; a page that says so beats one that hangs.
CONNECTION_WAIT_S = 4.0
# A live list refetches at every change; one row a minute and reader says that they were looking.
LOOK_PERIOD = timedelta(minutes=1)

# Decoded series in this process; the last ones looked at open again at once.
SHELF_BYTES = 384 * 2**20

logger = logging.getLogger(__name__)


@dataclass
class Looks:
    """Remembers who was recorded looking at what a moment ago."""

    _last: dict[tuple[str, ...], datetime] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def is_new(self, now: datetime, *look: str) -> bool:
        """Whether this look, by whom, from where and at what, is the first of its kind in the last minute."""
        with self._lock:
            for key in [key for key, at in self._last.items() if now - at >= LOOK_PERIOD]:
                del self._last[key]
            if look in self._last:
                return False
            self._last[look] = now
            return True


@dataclass(frozen=True)
class StudyLink:
    """A way from a study to another viewer.

    Attributes:
        words: on the link; a message.
        path: below the study's own address.
        is_there: whether this installation has it.
    """

    words: str
    path: str
    is_there: Callable[[Context], bool]


@dataclass(frozen=True)
class Site:
    """Dependencies of the endpoints; one an application."""

    context: Context
    sessions: Sessions
    brake: FailureBrake
    feed: LiveFeed
    templates: Jinja2Templates
    looks: Looks = field(default_factory=Looks)
    shelf: Shelf = field(default_factory=lambda: Shelf(SHELF_BYTES))
    study_links: tuple[StudyLink, ...] = ()
    provider: Provider | None = None

    @property
    def viewers(self) -> list[StudyLink]:
        """Other viewers that a study can be opened in."""
        return [link for link in self.study_links if link.is_there(self.context)]

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with self.context.pool.connection(timeout=CONNECTION_WAIT_S) as connection:
            yield connection

    def render(self, request: Request, template: str, status_code: int = 200, **values: object) -> Response:
        values.setdefault("account", getattr(request.state, "account", None))
        values.setdefault("address_here", address_here(request))
        return self.templates.TemplateResponse(request, template, values, status_code=status_code)


@dataclass(frozen=True)
class Extension:
    """Pages that another part brings to the application.

    Attributes:
        templates: directory of its templates, which may extend ours.
        static: directory served under /static/ and the extension's name.
        policies: a Content-Security-Policy of its own for addresses with a prefix, such as another application's.
    """

    name: str
    routers: tuple[APIRouter, ...]
    templates: Path | None = None
    static: Path | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    study_links: tuple[StudyLink, ...] = ()


def get_site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def require(*roles: Role) -> Callable[[Request], Account]:
    """A dependency: the signed-in account, refused with 403 unless it has one of the roles."""

    def account_of(request: Request) -> Account:
        account: Account = request.state.account
        if not account.roles.intersection(roles):
            names = list_of([role_name(role) for role in roles])
            raise HTTPException(403, gettext("Your account may not do this. It needs the role %(roles)s.", roles=names))
        return account

    return account_of


SiteDependency = Annotated[Site, Depends(get_site)]
Viewer = Annotated[Account, Depends(require(Role.RADIOLOGIST, Role.ADMINISTRATOR))]
Reader = Annotated[Account, Depends(require(Role.RADIOLOGIST))]


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def address_here(request: Request) -> str:
    """Where a form that changes how this page looks comes back to; a page that was posted has no address of its own."""
    if request.method != "GET":
        return "/"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def own_address(target: str) -> str:
    """Where to go next: only ever an address of our own."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"


def audit(
    connection: Connection, request: Request, action: str, account: Account, *, study_uid: str | None = None
) -> None:
    record_audit(connection, action, account=account.name, address=address_of(request), study_uid=study_uid)


def done(request: Request, target: str = "/") -> Response:
    """What a change answers: nothing to a script, the page it was made on to a form."""
    return Response(status_code=204) if LIVE_HEADER in request.headers else RedirectResponse(target, status_code=303)


def wants_json(path: str, headers: Headers) -> bool:
    return path.startswith(("/api/", "/events", "/healthz", "/readyz", PROGRAMS)) or LIVE_HEADER in headers


def error_response(site: Site, request: Request, status_code: int, title: str, detail: str) -> Response:
    """An error as a page for people and as JSON for programs."""
    if wants_json(request.url.path, request.headers):
        return JSONResponse({"detail": detail}, status_code=status_code)
    return site.render(request, "error.html", status_code, title=title, detail=detail)


def log_failure(error: Exception) -> None:
    """Log where something failed. The text of a foreign exception may quote patient data; only its type is kept."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    logger.error("A page failed: %s at %s:%s.", type(error).__name__, Path(frame.filename).name, frame.lineno)


def make_templates(*others: Path) -> Jinja2Templates:
    """Our templates, and those in other directories."""
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent / "templates", *others]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "wait": format_wait,
        "volume": format_volume,
        "volume_range": format_range,
        "measurement": format_measurement,
        "person_name": format_person_name,
        "dicom_date": format_date,
        "role_name": role_name,
        "state_words": state_words,
        "kind_words": kind_words,
        "capital": capital,
    }
    install(environment)
    environment.globals["fixed_line"] = FIXED_LINE
    environment.globals["corrects"] = frozenset({Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER, Role.ADMINISTRATOR})
    environment.globals["leads"] = frozenset({Role.REVIEWER, Role.ADMINISTRATOR})
    return Jinja2Templates(env=environment)
