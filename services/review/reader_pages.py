"""Pages of reader studies: made by a reviewer or administrator, rated blinded, looked at when closed."""

import csv
import io
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from services.languages import gettext
from services.ledger import reader_studies, selecting
from services.ledger.reader_studies import Design, Preference
from services.review import reader_api, reader_study, words
from services.review.people import Lead, Rater, leads, refusals
from services.review.reader_statistics import summarise
from services.triage.site import SiteDependency, audit

router = APIRouter(include_in_schema=False, prefix="/review/reader-studies")


@router.get("")
def show_studies(request: Request, site: SiteDependency, account: Rater) -> Response:
    """The reader studies there are, with how far one is oneself."""
    with site.connection() as connection:
        studies = reader_studies.list_studies(connection)
        turns = {
            study.id: reader_study.turn(connection, study.id, account.name)
            for study in studies
            if study.closed_at is None
        }
    return site.render(
        request, "reader_studies.html", studies=studies, turns=turns, words=words, is_lead=leads(account)
    )


@router.post("")
def make(
    request: Request,
    site: SiteDependency,
    account: Lead,
    name: Annotated[str, Form(min_length=1, max_length=120)],
    arms: Annotated[str, Form(max_length=400)],
    margin: Annotated[float, Form(gt=0, le=6)],
    design: Annotated[Design, Form()] = Design.SINGLE,
) -> Response:
    """Make a study of the arms named, separated by commas; the first is what the others are held against."""
    with refusals():
        reader_study.make(site.context, account, name, arms.split(","), margin, design)
    with site.connection() as connection:
        audit(connection, request, "reader study made", account)
    return RedirectResponse("/review/reader-studies", status_code=303)


@router.get("/add")
def show_add(
    request: Request, site: SiteDependency, account: Lead, study: Annotated[str, Query(max_length=32)]
) -> Response:
    """The form that adds a study as a case, its series as arms."""
    with site.connection() as connection:
        study_uid = selecting.find_study(connection, study)
        if study_uid is None:
            raise HTTPException(404, gettext("There is no such study here."))
        audit(connection, request, "study", account, study_uid=study_uid)
        series = reader_studies.held_series(connection, study_uid)
        open_studies = [each for each in reader_studies.list_studies(connection) if each.closed_at is None]
        there = {
            each.id: {image.arm for image in reader_studies.images(connection, each.id) if image.study_uid == study_uid}
            for each in open_studies
        }
    return site.render(request, "reader_add.html", study=study, series=series, studies=open_studies, there=there)


@router.post("/{identifier}/cases")
def add_case(
    request: Request,
    site: SiteDependency,
    account: Lead,
    identifier: int,
    study: Annotated[str, Form(max_length=32)],
    arm: Annotated[list[str], Form()],
    series: Annotated[list[str], Form()],
) -> Response:
    """Add a study's series as arms, each named by its place in both lists; an arm without a series is left out."""
    chosen = {each: key for each, key in zip(arm, series, strict=False) if key}
    with refusals():
        study_uid = reader_study.add_case(site.context, identifier, study, chosen)
    with site.connection() as connection:
        audit(connection, request, "reader study case", account, study_uid=study_uid)
    return RedirectResponse(f"/review/reader-studies/add?study={study}", status_code=303)


@router.get("/{identifier}/rate")
def show_next(request: Request, site: SiteDependency, account: Rater, identifier: int) -> Response:
    """What is next in one's own order; nothing on the page tells its arm."""
    with refusals(), site.connection() as connection:
        turn = reader_study.turn(connection, identifier, account.name)
        audit(connection, request, "reader study", account)
    with refusals():
        slices = [
            len(reader_api.read_view_image(site, image).voxels) for image in (turn.view.images if turn.view else ())
        ]
    return site.render(
        request,
        "reader_rate.html",
        turn=turn,
        slices=slices,
        questions=reader_study.QUESTIONS,
        words=words,
        points=reader_study.POINTS[turn.study.design],
    )


@router.post("/{identifier}/views/{token}")
def rate(
    request: Request,
    site: SiteDependency,
    account: Rater,
    identifier: int,
    token: str,
    q0: Annotated[int, Form()],
    q1: Annotated[int, Form()],
    q2: Annotated[int, Form()],
    q3: Annotated[int, Form()],
    q4: Annotated[int, Form()],
) -> Response:
    """Keep the scores of a view, in the order of the questions; a rating is never changed."""
    scores = dict(zip(reader_study.QUESTIONS, (q0, q1, q2, q3, q4), strict=True))
    with refusals():
        study_uid = reader_study.rate(site.context, account, identifier, token, scores)
    with site.connection() as connection:
        audit(connection, request, "reader study rating", account, study_uid=study_uid)
    return RedirectResponse(f"/review/reader-studies/{identifier}/rate", status_code=303)


@router.post("/{identifier}/close")
def close(request: Request, site: SiteDependency, account: Lead, identifier: int) -> Response:
    """End the ratings; from then on the results may be looked at."""
    with refusals():
        reader_study.close(site.context, identifier)
    with site.connection() as connection:
        audit(connection, request, "reader study closed", account)
    return RedirectResponse(f"/review/reader-studies/{identifier}/results", status_code=303)


@router.get("/{identifier}/results")
def show_results(request: Request, site: SiteDependency, account: Lead, identifier: int) -> Response:
    with refusals(), site.connection() as connection:
        study, given = reader_api.read_ratings(connection, identifier)
        audit(connection, request, "reader study results", account)
    return site.render(
        request,
        "reader_results.html",
        study=study,
        words=words,
        results=summarise(study, given),
        points=reader_study.POINTS[study.design],
    )


@router.get("/{identifier}/ratings.csv")
def get_ratings(request: Request, site: SiteDependency, account: Lead, identifier: int) -> Response:
    """Every answer for one's own statistics: a row a reader, case, arm and question; cases are numbered."""
    with refusals(), site.connection() as connection:
        _, given = reader_api.read_ratings(connection, identifier)
        audit(connection, request, "reader study results", account)
    numbers = {uid: number for number, uid in enumerate(sorted({each.study_uid for each in given}), 1)}
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("reader", "case", "arm", "question", "score", "reference_side"))
    for each in given:
        side = ("left" if each.reference_left else "right") if isinstance(each, Preference) else ""
        for question in reader_study.QUESTIONS:
            table.writerow((each.account, numbers[each.study_uid], each.arm, question, each.scores[question], side))
    headers = {"content-disposition": f'attachment; filename="reader-study-{identifier}.csv"'}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)
