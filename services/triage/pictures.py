"""The worklist's pictures: as the model's answer left them, or drawn anew without outlines."""

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from models.errors import InvalidVolume
from services.languages import gettext
from services.ledger import images as ledger_images
from services.ledger import worklist
from services.triage.cards import find_card
from services.triage.images import read_images, read_slice
from services.triage.panel import reference_series
from services.triage.site import Site, SiteDependency, Viewer, audit

router = APIRouter(include_in_schema=False)


@router.get("/previews/{analysis_id}")
def show_preview(
    request: Request, site: SiteDependency, account: Viewer, analysis_id: int, outlines: str = "on"
) -> Response:
    """The picture of an analysis, PNG; with `outlines=off` drawn anew from the images."""
    with site.connection() as connection:
        found = worklist.find_preview(connection, analysis_id)
        if found is None:
            raise HTTPException(404, gettext("There is no such picture here."))
        audit(connection, request, "preview", account, study_uid=found[1])
        plain = worklist.find_picture(connection, analysis_id) if outlines == "off" else None
    if plain is not None and (picture := _draw(site, plain)) is not None:
        return Response(picture, media_type="image/png")
    try:
        picture = site.context.store.get(found[0])
    except KeyError:
        raise HTTPException(404, gettext("The picture is no longer in the store.")) from None
    return Response(picture, media_type="image/png")


def _draw(site: Site, facts: worklist.PictureFacts) -> bytes | None:
    """The slice of an answer's picture without outlines; None where its images cannot be read any more."""
    series = reference_series(facts.inputs, find_card(facts.model))
    if series is None:
        return None
    with site.connection() as connection:
        content = ledger_images.read_content(connection, facts.study_key, ledger_images.key_of(series))
    if content is None:
        return None
    index = len(content.instances) // 2 if facts.key_slice is None else facts.key_slice
    try:
        alone = read_slice(site.context.store, content, index)
        if alone is not None:
            return alone.thumbnail(0)
        images = site.shelf.get(content.digest, lambda: read_images(site.context.store, content))
    except InvalidVolume:
        return None
    return images.thumbnail(min(index, len(images.voxels) - 1))
