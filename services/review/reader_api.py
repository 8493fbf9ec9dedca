"""Reader studies for programs, and the pictures that their pages show."""

from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from models.errors import InvalidVolume
from services.languages import gettext
from services.ledger import reader_studies
from services.ledger.database import Connection
from services.ledger.reader_studies import Design, Preference, Rating, ReaderStudy, StudyImage
from services.review import reader_study
from services.review.people import Lead, Rater, refusals
from services.review.reader_statistics import summarise
from services.triage.images import Images, read_images
from services.triage.site import Site, SiteDependency, audit

router = APIRouter(prefix="/api/v1/reader-studies")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewReaderStudyBody(_Body):
    """`arms`: the reference first; `margin`: of non-inferiority, points of the scale."""

    name: str = Field(min_length=1, max_length=120)
    arms: list[str] = Field(min_length=2, max_length=8)
    margin: float = Field(gt=0, le=6)
    design: Design = Design.SINGLE


class CaseBody(_Body):
    """A study and, by arm, its series; both by their ids of the worklist and viewer."""

    study: str = Field(max_length=32)
    series: dict[str, str] = Field(min_length=1)


class ScoresBody(_Body):
    """By question 1 to 7; of a pair -3, the left image is much better, to 3, the right one is."""

    scores: dict[str, int]


@router.get("")
def list_studies(site: SiteDependency, account: Rater) -> list[dict[str, Any]]:  # noqa: ARG001
    """Every reader study, without anything that would tell what is shown."""
    with site.connection() as connection:
        return [
            {name: value for name, value in asdict(study).items() if name != "seed"}
            for study in reader_studies.list_studies(connection)
        ]


@router.post("", status_code=201)
def make(request: Request, site: SiteDependency, account: Lead, body: NewReaderStudyBody) -> dict[str, Any]:
    with refusals():
        made = reader_study.make(site.context, account, **body.model_dump())
    with site.connection() as connection:
        audit(connection, request, "reader study made", account)
    return {"id": made}


@router.post("/{identifier}/cases", status_code=204)
def add_case(request: Request, site: SiteDependency, account: Lead, identifier: int, body: CaseBody) -> None:
    """Add a study as a case, its series as arms; all of them or none."""
    with refusals():
        study_uid = reader_study.add_case(site.context, identifier, body.study, body.series)
    with site.connection() as connection:
        audit(connection, request, "reader study case", account, study_uid=study_uid)


@router.get("/{identifier}/next")
def get_next(request: Request, site: SiteDependency, account: Rater, identifier: int) -> dict[str, Any]:
    """What this account rates next; view null: everything is rated."""
    with refusals(), site.connection() as connection:
        turn = reader_study.turn(connection, identifier, account.name)
        audit(connection, request, "reader study", account)
    with refusals():
        slices = [len(read_view_image(site, image).voxels) for image in (turn.view.images if turn.view else ())]
    return {
        "view": turn.view.token if turn.view else None,
        "slices": slices,
        "done": turn.done,
        "total": turn.total,
        "questions": reader_study.QUESTIONS,
        "points": reader_study.POINTS[turn.study.design],
    }


@router.get("/{identifier}/views/{token}/images/{place}/slices/{index}")
def get_slice(
    site: SiteDependency,
    account: Rater,
    identifier: int,
    token: str,
    place: int,
    index: int,
    contrast: Annotated[float, Query(ge=0.1, le=10)] = 1.0,
    brightness: Annotated[float, Query(ge=-1, le=1)] = 0.0,
) -> Response:
    """A slice of a view of one's own as PNG. Place 0 is the left image, or the only one.

    Contrast divides the opening window's width, brightness moves its level by that part of the width.
    """
    with refusals(), site.connection() as connection:
        view = reader_study.find_view(connection, identifier, account.name, token)
    if not 0 <= place < len(view.images):
        raise HTTPException(404, gettext("There is no such image here."))
    with refusals():
        images = read_view_image(site, view.images[place])
    if not 0 <= index < len(images.voxels):
        raise HTTPException(404, gettext("There is no such slice here."))
    width, level = images.window
    shown = replace(images, window=(width / contrast, level - brightness * width))
    return Response(shown.picture(index), media_type="image/png")


@router.post("/{identifier}/views/{token}", status_code=204)
def rate(request: Request, site: SiteDependency, account: Rater, identifier: int, token: str, body: ScoresBody) -> None:
    """Keep what this account gives a view; a rating is never changed."""
    with refusals():
        study_uid = reader_study.rate(site.context, account, identifier, token, body.scores)
    with site.connection() as connection:
        audit(connection, request, "reader study rating", account, study_uid=study_uid)


@router.post("/{identifier}/close", status_code=204)
def close(request: Request, site: SiteDependency, account: Lead, identifier: int) -> None:
    """End the ratings; from then on the results may be looked at."""
    with refusals():
        reader_study.close(site.context, identifier)
    with site.connection() as connection:
        audit(connection, request, "reader study closed", account)


@router.get("/{identifier}/results")
def get_results(request: Request, site: SiteDependency, account: Lead, identifier: int) -> dict[str, Any]:
    """Of a closed reader study: comparisons with the reference, distributions, agreement of the readers."""
    with refusals(), site.connection() as connection:
        study, given = read_ratings(connection, identifier)
        audit(connection, request, "reader study results", account)
    return asdict(summarise(study, given))


def read_ratings(connection: Connection, identifier: int) -> tuple[ReaderStudy, list[Rating] | list[Preference]]:
    """A closed reader study and what its readers gave.

    Raises:
        NotFound: there is none.
        Conflict: it still takes ratings.
    """
    study = reader_study.read_closed(connection, identifier)
    if study.design is Design.SINGLE:
        return study, reader_studies.ratings(connection, identifier)
    return study, reader_studies.preferences(connection, identifier)


def read_view_image(site: Site, image: StudyImage) -> Images:
    """The voxels of an image of a view; 422 where they are no volume."""
    with site.connection() as connection:
        content = reader_studies.held_content(connection, image.study_uid, image.series_uid)
    try:
        return site.shelf.get(content.digest, lambda: read_images(site.context.store, content))
    except InvalidVolume as error:
        raise HTTPException(422, str(error)) from error
