"""An enhanced series beside the acquired one: the page, and its pictures in one window."""

from dataclasses import replace
from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from models.errors import InvalidVolume
from services.languages import gettext
from services.languages.recorded import say_again
from services.ledger import worklist
from services.ledger.accounts import Account
from services.ledger.arrays import unpack_array
from services.ledger.images import EnhancedFacts, read_enhanced
from services.triage.images import Images, keep, read_images
from services.triage.lists import maximum_wait
from services.triage.rows import describe_study
from services.triage.site import Site, SiteDependency, Viewer, audit

router = APIRouter(include_in_schema=False)


@router.get("/studies/{key}/enhanced/{analysis_id}")
def show_before_after(request: Request, site: SiteDependency, account: Viewer, key: str, analysis_id: int) -> Response:
    """The page of one enhanced series."""
    facts = _facts(request, site, account, key, analysis_id, "view")
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
    if record is None:
        raise HTTPException(404, gettext("There is no such study here."))
    acquired = _acquired(site, facts)
    slices, rows, columns = acquired.voxels.shape
    return site.render(
        request,
        "before_after.html",
        study=record.study,
        row=describe_study(record.study, site.context.now(), maximum_wait(site)),
        facts=facts,
        pictures=f"/studies/{key}/enhanced/{analysis_id}/slices",
        slices=slices,
        opening_slice=slices // 2,
        proportion=rows * acquired.spacing_mm[0] / (columns * acquired.spacing_mm[1]),
    )


@router.get("/studies/{key}/enhanced/{analysis_id}/slices/{index}/{side}")
def get_picture(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    key: str,
    analysis_id: int,
    index: int,
    side: Literal["acquired", "enhanced"],
) -> Response:
    """One slice as a PNG; both sides in the opening window of the acquired one."""
    facts = _facts(request, site, account, key, analysis_id, "image")
    images = acquired = _acquired(site, facts)
    if side == "enhanced":
        images = replace(_enhanced(site, facts, acquired), window=acquired.window)
    if not 0 <= index < len(images.voxels):
        raise HTTPException(404, gettext("There is no such slice here."))
    return Response(images.picture(index), media_type="image/png")


def _facts(request: Request, site: Site, account: Account, key: str, analysis_id: int, action: str) -> EnhancedFacts:
    with site.connection() as connection:
        facts = read_enhanced(connection, key, analysis_id)
        if facts is None:
            raise HTTPException(404, gettext("There is no enhanced series here."))
        audit(connection, request, action, account, study_uid=facts.study_uid)
    if not facts.is_current:
        raise HTTPException(409, gettext("Images arrived after this series was enhanced. Look at the new answer."))
    return facts


def _acquired(site: Site, facts: EnhancedFacts) -> Images:
    try:
        return site.shelf.get(facts.content.digest, lambda: read_images(site.context.store, facts.content))
    except InvalidVolume as error:
        raise HTTPException(422, say_again(str(error))) from error


def _enhanced(site: Site, facts: EnhancedFacts, acquired: Images) -> Images:
    def read() -> Images:
        return keep(replace(acquired.volume, voxels=unpack_array(site.context.store.get(facts.image_key))), "MR")

    try:
        return site.shelf.get(facts.image_key, read)
    except (KeyError, ValueError):
        raise HTTPException(404, gettext("The enhanced series is no longer in the store.")) from None
