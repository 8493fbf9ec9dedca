"""Pages of reader studies: made by a reviewer or administrator, rated blinded, looked at when closed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from models.errors import InvalidVolume
from services.languages import gettext
from services.ledger import reader_studies, selecting
from services.ledger.accounts import Account, Role
from services.ledger.database import Connection
from services.ledger.reader_studies import ReaderStudy, StudyImage
from services.review import reader_study, words
from services.review.people import Lead, leads
from services.triage.images import Images, read_images
from services.triage.site import Site, SiteDependency, audit, require

router = APIRouter(include_in_schema=False, prefix="/review/reader-studies")

Rater = Annotated[
    Account,
    Depends(require(Role.RADIOLOGIST, Role.ANNOTATOR, Role.REVIEWER, Role.ARBITER, Role.ADMINISTRATOR)),
]
Score = Annotated[int, Form(ge=1, le=7)]


@router.get("")
def show_studies(request: Request, site: SiteDependency, account: Rater) -> Response:
    """The reader studies there are, with how far one is oneself."""
    with site.connection() as connection:
        studies = reader_studies.list_studies(connection)
        images = {study.id: reader_studies.images(connection, study.id) for study in studies}
        rated = {
            study.id: sum(each.account == account.name for each in reader_studies.ratings(connection, study.id))
            for study in studies
        }
    return site.render(
        request, "reader_studies.html", studies=studies, images=images, rated=rated, is_lead=leads(account)
    )


@router.post("")
def make(
    request: Request,
    site: SiteDependency,
    account: Lead,
    name: Annotated[str, Form(min_length=1, max_length=120)],
    arms: Annotated[str, Form(max_length=400)],
    margin: Annotated[float, Form(gt=0, le=6)],
) -> Response:
    """Make a study of the arms named, separated by commas; the first is what the others are held against."""
    named = [arm.strip() for arm in arms.split(",") if arm.strip()]
    if len(named) < 2 or len(set(named)) < len(named):
        raise HTTPException(422, gettext("Name at least two arms, separated by commas, each once."))
    with site.connection() as connection:
        made = reader_studies.create(connection, name.strip(), named, margin, account.name)
        audit(connection, request, "reader study made", account)
    if made is None:
        raise HTTPException(409, gettext("There is a reader study of this name already."))
    return RedirectResponse("/review/reader-studies", status_code=303)


@router.get("/add")
def show_add(
    request: Request, site: SiteDependency, account: Lead, study: Annotated[str, Query(max_length=32)]
) -> Response:
    """The form that adds a study's series as a case."""
    with site.connection() as connection:
        study_uid = _study_uid(connection, study)
        audit(connection, request, "study", account, study_uid=study_uid)
        series = reader_studies.held_series(connection, study_uid)
        open_studies = [each for each in reader_studies.list_studies(connection) if each.closed_at is None]
    return site.render(request, "reader_add.html", study=study, series=series, studies=open_studies)


@router.post("/{identifier}/images")
def add_image(
    request: Request,
    site: SiteDependency,
    account: Lead,
    identifier: int,
    study: Annotated[str, Form(max_length=32)],
    series: Annotated[str, Form(max_length=32)],
    arm: Annotated[str, Form(max_length=120)],
) -> Response:
    with site.connection() as connection:
        found = _open(connection, identifier)
        study_uid = _study_uid(connection, study)
        chosen = next((each for each in reader_studies.held_series(connection, study_uid) if each.key == series), None)
        if chosen is None or arm not in found.arms:
            raise HTTPException(404, gettext("There is no such series here."))
        added = reader_studies.add_image(connection, identifier, study_uid, chosen.series_uid, arm)
        audit(connection, request, "reader study image", account, study_uid=study_uid)
    if not added:
        raise HTTPException(409, gettext("This case has this arm already."))
    return RedirectResponse(f"/review/reader-studies/add?study={study}", status_code=303)


@router.get("/{identifier}/rate")
def show_next(request: Request, site: SiteDependency, account: Rater, identifier: int) -> Response:
    """The next image of one's own order that one has not rated; nothing on the page tells its arm."""
    with site.connection() as connection:
        study = _open(connection, identifier)
        order = _order(connection, study, account)
        done = {
            each.image_id for each in reader_studies.ratings(connection, identifier) if each.account == account.name
        }
        audit(connection, request, "reader study", account)
    place = next((place for place, image in enumerate(order) if image.id not in done), None)
    slices = len(_images(site, account, identifier, place).voxels) if place is not None else 0
    return site.render(
        request,
        "reader_rate.html",
        study=study,
        place=place,
        total=len(order),
        done=len(done),
        slices=slices,
        questions=reader_study.QUESTIONS,
        words=words,
        points=reader_study.POINTS,
    )


@router.get("/{identifier}/images/{place}/slices/{index}")
def get_slice(site: SiteDependency, account: Rater, identifier: int, place: int, index: int) -> Response:
    """A slice of the image at a place of one's own order, PNG."""
    images = _images(site, account, identifier, place)
    if not 0 <= index < len(images.voxels):
        raise HTTPException(404, gettext("There is no such slice here."))
    return Response(images.picture(index), media_type="image/png")


@router.post("/{identifier}/images/{place}")
def rate(
    request: Request,
    site: SiteDependency,
    account: Rater,
    identifier: int,
    place: int,
    q0: Score,
    q1: Score,
    q2: Score,
    q3: Score,
    q4: Score,
) -> Response:
    """Keep the scores of the image at a place of one's own order; a rating is never changed."""
    with site.connection() as connection:
        study = _open(connection, identifier, lock=True)
        order = _order(connection, study, account)
        if not 0 <= place < len(order):
            raise HTTPException(404, gettext("There is no such image here."))
        scores = dict(zip(reader_study.QUESTIONS, (q0, q1, q2, q3, q4), strict=True))
        kept = reader_studies.rate(connection, order[place].id, account.name, scores)
        audit(connection, request, "reader study rating", account, study_uid=order[place].study_uid)
    if not kept:
        raise HTTPException(409, gettext("You rated this image already."))
    return RedirectResponse(f"/review/reader-studies/{identifier}/rate", status_code=303)


@router.post("/{identifier}/close")
def close(request: Request, site: SiteDependency, account: Lead, identifier: int) -> Response:
    """End the ratings; from then on the results may be looked at."""
    with site.connection() as connection:
        _open(connection, identifier, lock=True)
        reader_studies.close(connection, identifier)
        audit(connection, request, "reader study closed", account)
    return RedirectResponse(f"/review/reader-studies/{identifier}/results", status_code=303)


@router.get("/{identifier}/results")
def show_results(request: Request, site: SiteDependency, account: Lead, identifier: int) -> Response:
    with site.connection() as connection:
        study = _read(connection, identifier)
        if study.closed_at is None:
            raise HTTPException(409, gettext("Results are shown when the reader study is closed."))
        ratings = reader_studies.ratings(connection, identifier)
        audit(connection, request, "reader study results", account)
    return site.render(
        request,
        "reader_results.html",
        study=study,
        words=words,
        comparisons=reader_study.compare(ratings, study.arms, study.margin),
        readers=len({each.account for each in ratings}),
        cases=len({each.study_uid for each in ratings}),
        ratings=len(ratings),
    )


def _order(connection: Connection, study: ReaderStudy, account: Account) -> list[StudyImage]:
    return reader_study.order_for(reader_studies.images(connection, study.id), study.id, account.name)


def _images(site: Site, account: Account, identifier: int, place: int) -> Images:
    with site.connection() as connection:
        order = _order(connection, _open(connection, identifier), account)
        if not 0 <= place < len(order):
            raise HTTPException(404, gettext("There is no such image here."))
        content = reader_studies.held_content(connection, order[place].study_uid, order[place].series_uid)
    try:
        return site.shelf.get(content.digest, lambda: read_images(site.context.store, content))
    except InvalidVolume as error:
        raise HTTPException(422, str(error)) from error


def _read(connection: Connection, identifier: int, *, lock: bool = False) -> ReaderStudy:
    study = reader_studies.read(connection, identifier, lock=lock)
    if study is None:
        raise HTTPException(404, gettext("There is no such reader study here."))
    return study


def _open(connection: Connection, identifier: int, *, lock: bool = False) -> ReaderStudy:
    study = _read(connection, identifier, lock=lock)
    if study.closed_at is not None:
        raise HTTPException(409, gettext("This reader study is closed."))
    return study


def _study_uid(connection: Connection, key: str) -> str:
    found = selecting.find_study(connection, key)
    if found is None:
        raise HTTPException(404, gettext("There is no such study here."))
    return found
