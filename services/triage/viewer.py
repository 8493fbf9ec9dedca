"""The quick viewer: its page, the images and labels it draws, and what readers say of an answer."""

import gzip
import json
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from models.card import Card
from models.errors import InvalidVolume
from services.languages import gettext
from services.languages.recorded import say_again
from services.ledger import images as ledger_images
from services.ledger import opinions, worklist
from services.ledger.accounts import Account, Role
from services.ledger.arrays import unpack_array
from services.ledger.images import SeriesContent
from services.ledger.opinions import Reason, Verdict
from services.triage.cards import find_card
from services.triage.images import Images, read_images, read_slice
from services.triage.lists import look_at_worklist, maximum_wait, read_filters
from services.triage.panel import choose_series, describe_analyses, largest_finding, why_no_result
from services.triage.rows import Filters, describe_study
from services.triage.site import LIVE_HEADER, Reader, Site, SiteDependency, Viewer, audit, done

router = APIRouter(include_in_schema=False)

ReasonField = Annotated[Reason | None, Form()]


@router.get("/studies/{key}/view")
def show_viewer(
    request: Request, site: SiteDependency, account: Viewer, key: str, series: Annotated[str, Query(max_length=32)] = ""
) -> Response:
    """The page; with the live header, only its panel."""
    version = site.feed.version()
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
        if record is None:
            raise HTTPException(404, gettext("There is no such study here."))
        study = record.study
        listed = ledger_images.list_image_series(connection, study.study_uid)
        labels = ledger_images.list_labels(connection, study.study_uid)
        audit(connection, request, "view", account, study_uid=study.study_uid)
    analyses = describe_analyses(study, listed, labels, _cards(study), account.name)
    chosen = choose_series(analyses, listed, series)
    finding = largest_finding(analyses, chosen)
    now = site.context.now()
    return site.render(
        request,
        "_panel.html" if LIVE_HEADER in request.headers else "viewer.html",
        study=study,
        row=describe_study(study, now, maximum_wait(site)),
        series=listed,
        chosen=chosen,
        analyses=analyses,
        opening_slice=finding.key_slice if finding else chosen.instances // 2 if chosen else 0,
        why_no_result=why_no_result(study),
        reasons=tuple(Reason),
        version=version,
        now=now,
        may_claim=Role.RADIOLOGIST in account.roles,
        has_pacs=site.context.settings.web.pacs_url is not None,
        viewers=site.viewers,
    )


@router.get("/studies/{key}/next")
def show_next(
    request: Request,
    site: SiteDependency,
    account: Viewer,
    key: str,
    filters: Annotated[Filters, Depends(read_filters)],
    step: Annotated[int, Query(ge=-1, le=1)] = 1,
) -> Response:
    """On to the study after or before this one in the list as it is now; at its end, back to the list."""
    keys = [row.key for row in look_at_worklist(request, site, account, filters).rows]
    at = keys.index(key) + step if key in keys else 0
    if not 0 <= at < len(keys):
        return RedirectResponse("/", status_code=303)
    return RedirectResponse(f"/studies/{keys[at]}/view", status_code=303)


@router.get("/studies/{key}/series/{series}/geometry")
def get_geometry(request: Request, site: SiteDependency, account: Viewer, key: str, series: str) -> Response:
    """Where the voxels are in the patient."""
    return JSONResponse(_images(request, site, account, key, series, "geometry").geometry)


@router.get("/studies/{key}/series/{series}/voxels")
def get_voxels(request: Request, site: SiteDependency, account: Viewer, key: str, series: str) -> Response:
    """The whole series: int16, little-endian, slice by slice, row by row."""
    images = _images(request, site, account, key, series, "images")
    return Response(images.voxels.tobytes(), media_type="application/octet-stream")


@router.get("/studies/{key}/series/{series}/slices/{index}")
def get_slice(request: Request, site: SiteDependency, account: Viewer, key: str, series: str, index: int) -> Response:
    """One slice as a PNG, to have something to look at while the rest comes."""
    content = _content(request, site, account, key, series, "image")
    try:
        images = read_slice(site.context.store, content, index)
        if images is not None:
            return Response(images.picture(0), media_type="image/png")
        images = _read(site, content)
    except InvalidVolume as error:
        raise HTTPException(422, say_again(str(error))) from error
    if not 0 <= index < len(images.voxels):
        raise HTTPException(404, gettext("There is no such slice here."))
    return Response(images.picture(index), media_type="image/png")


@router.get("/studies/{key}/series/{series}/labels/{analysis_id}")
def get_labels(
    request: Request, site: SiteDependency, account: Viewer, key: str, series: str, analysis_id: int
) -> Response:
    """An answer's labels: uint8 planes of the slices named in the header `x-nightjar-slices`, in that order."""
    content = _content(request, site, account, key, series, "labels")
    with site.connection() as connection:
        facts = ledger_images.list_labels(connection, content.study_uid).get(analysis_id)
    if facts is None or facts.segmentation_key is None:
        raise HTTPException(404, gettext("There are no outlines here."))
    if not facts.is_current:
        raise HTTPException(409, gettext("Outlines are not shown: images arrived after this answer."))
    try:
        labels = unpack_array(site.context.store.get(facts.segmentation_key))
    except (KeyError, ValueError):
        raise HTTPException(404, gettext("The outlines are no longer in the store.")) from None
    try:
        shape = _read(site, content).voxels.shape
    except InvalidVolume as error:
        raise HTTPException(422, say_again(str(error))) from error
    if labels.shape != shape:
        raise HTTPException(409, gettext("Outlines are not shown: they do not fit these images."))
    slices = np.flatnonzero(labels.any(axis=(1, 2)))
    return Response(
        gzip.compress(labels[slices].astype(np.uint8).tobytes(), compresslevel=1, mtime=0),
        media_type="application/octet-stream",
        headers={"Content-Encoding": "gzip", "x-nightjar-slices": json.dumps(slices.tolist())},
    )


@router.post("/studies/{key}/opinion")
def say_opinion(
    request: Request,
    site: SiteDependency,
    account: Reader,
    key: str,
    verdict: Annotated[Verdict, Form()],
    reason: ReasonField = None,
    analysis: Annotated[int | None, Form()] = None,
) -> Response:
    """Agree or disagree with one answer; without `analysis`, with every answer that raised a flag."""
    if (verdict is Verdict.DISAGREE) != (reason is not None):
        raise HTTPException(422, gettext("Choose why you disagree."))
    with site.connection() as connection:
        record = worklist.read_study(connection, key)
        if record is None:
            raise HTTPException(404, gettext("There is no such study here."))
        answers = [
            each.id
            for each in record.study.analyses
            if each.state == "analysed" and (each.id == analysis if analysis is not None else each.findings)
        ]
        if not answers:
            raise HTTPException(409, gettext("This answer is no longer the current one. Look at the new one."))
        study_uid = record.study.study_uid
        for answer in answers:
            opinions.say(connection, study_uid, answer, account.name, verdict, reason)
        audit(connection, request, "opinion", account, study_uid=study_uid)
    return done(request, f"/studies/{key}/view")


def _cards(study: worklist.StudyFacts) -> dict[str, Card]:
    cards = {model: find_card(model) for model in {analysis.model for analysis in study.analyses}}
    return {model: card for model, card in cards.items() if card is not None}


def _content(request: Request, site: Site, account: Account, key: str, series: str, action: str) -> SeriesContent:
    """The series' instances; who looks is in the audit trail before anything is read."""
    with site.connection() as connection:
        content = ledger_images.read_content(connection, key, series)
        if content is None:
            raise HTTPException(404, gettext("There is no such series here."))
        audit(connection, request, action, account, study_uid=content.study_uid)
    return content


def _images(request: Request, site: Site, account: Account, key: str, series: str, action: str) -> Images:
    try:
        return _read(site, _content(request, site, account, key, series, action))
    except InvalidVolume as error:
        raise HTTPException(422, say_again(str(error))) from error


def _read(site: Site, content: SeriesContent) -> Images:
    return site.shelf.get(content.digest, lambda: read_images(site.context.store, content))
