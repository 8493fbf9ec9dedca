"""Claims: taken, given back, handed over; and alerts acknowledged."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from starlette.responses import Response

from services.languages import gettext
from services.ledger import claims, worklist
from services.ledger.accounts import Role, find_account
from services.ledger.database import Connection
from services.triage.site import Reader, SiteDependency, Viewer, audit, done

router = APIRouter(include_in_schema=False)

AccountName = Annotated[str, Form(max_length=40)]


@router.post("/studies/{key}/claim")
def claim(request: Request, site: SiteDependency, account: Reader, key: str) -> Response:
    with site.connection() as connection:
        study_uid = _study_uid(connection, key)
        holder = claims.claim(connection, study_uid, account.name, site.context.now())
        if holder == account.name:
            audit(connection, request, "claim", account, study_uid=study_uid)
    if holder != account.name:
        raise HTTPException(409, gettext("%(name)s has claimed this study.", name=holder))
    return done(request)


@router.post("/studies/{key}/release")
def release(request: Request, site: SiteDependency, account: Viewer, key: str) -> Response:
    """Give a claim back: one's own, or as administrator anybody's."""
    with site.connection() as connection:
        study_uid = _study_uid(connection, key)
        of_others = Role.ADMINISTRATOR in account.roles
        released = claims.release(connection, study_uid, account.name, of_others=of_others)
        if released:
            audit(connection, request, "release", account, study_uid=study_uid)
    if not released:
        raise HTTPException(409, gettext("Somebody else has claimed this study."))
    return done(request)


@router.post("/studies/{key}/hand-over")
def hand_over(request: Request, site: SiteDependency, account: Reader, key: str, to: AccountName) -> Response:
    """Give one's claim to another reader."""
    with site.connection() as connection:
        _refuse_unless_reader(connection, to)
        study_uid = _study_uid(connection, key)
        handed = claims.hand_over(connection, study_uid, account.name, to)
        if handed:
            audit(connection, request, "hand-over", account, study_uid=study_uid)
    if not handed:
        raise HTTPException(409, gettext("You do not hold this study any more."))
    return done(request)


@router.post("/hand-over")
def hand_over_all(request: Request, site: SiteDependency, account: Reader, to: AccountName) -> Response:
    """Give all one's claims to another reader, as at the end of a shift."""
    with site.connection() as connection:
        _refuse_unless_reader(connection, to)
        for study_uid in claims.claimed_studies(connection, account.name):
            claims.hand_over(connection, study_uid, account.name, to)
            audit(connection, request, "hand-over", account, study_uid=study_uid)
    return done(request, "/shift")


@router.post("/acknowledge")
def acknowledge(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    alert: Annotated[list[Annotated[str, Form(pattern=r"^[0-9a-f]{32}-[0-9]{1,19}$")]], Form(max_length=500)],
) -> Response:
    """This account has heard and seen these alerts; nobody else's banner or sound ends."""
    with site.connection() as connection:
        claims.acknowledge(connection, account.name, alert)
        audit(connection, request, "acknowledge", account)
    return done(request)


def _refuse_unless_reader(connection: Connection, name: str) -> None:
    account = find_account(connection, name)
    if account is None or Role.RADIOLOGIST not in account.roles:
        raise HTTPException(422, gettext("Choose somebody who reads studies here."))


def _study_uid(connection: Connection, key: str) -> str:
    study_uid = worklist.find_study_uid(connection, key)
    if study_uid is None:
        raise HTTPException(404, gettext("There is no such study here."))
    return study_uid
