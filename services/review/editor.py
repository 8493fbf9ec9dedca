"""The editor: its page, the images and masks it draws, and the versions it saves."""

import gzip
import json
import zlib
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Form, Header, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from models.errors import InvalidVolume
from services.languages import gettext
from services.languages.recorded import say_again
from services.ledger import gradings, worklist
from services.ledger import images as ledger_images
from services.ledger.accounts import Account
from services.ledger.annotations import StaleBase
from services.ledger.images import ImageSeries
from services.ledger.workitems import Purpose, State
from services.review import sources, words, workflow
from services.review.aligned import in_units_of_adc, read_aligned
from services.review.brain import brain_on
from services.review.masks import Labels, Mask
from services.review.opening import Opened, open_item, read_mask
from services.review.people import Expert, refusals
from services.triage.images import Images, read_images
from services.triage.site import Site, SiteDependency, audit

TOOL = "Nightjar editor"
LARGEST_MASK_BYTES = 400 * 2**20

router = APIRouter(include_in_schema=False)


@router.get("/review/{item}/edit")
def show_editor(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    """The page; read-only, with the reason, for who may not draw now."""
    with refusals(), site.connection() as connection:
        opened = open_item(site.context, connection, item, account)
        series = ledger_images.list_image_series(connection, opened.item.study_uid)
        graded = account.name in gradings.image_grades(connection, item)
        audit(connection, request, "edit", account, study_uid=opened.item.study_uid)
    chosen = next((each for each in series if each.series_uid == opened.item.series_uid), None)
    if chosen is None:
        raise HTTPException(422, gettext("The images of this workitem are no longer here."))
    with site.connection() as connection:
        study = worklist.read_study(connection, opened.item.study_key)
    if study is None:
        raise HTTPException(404, gettext("There is no such study here."))
    return site.render(
        request,
        "editor.html",
        opened=opened,
        words=words,
        study=study.study,
        chosen=chosen,
        desk=_desk(opened, chosen, series, graded=graded),
        needs_grade=opened.may_draw and not graded and opened.item.purpose is Purpose.WORK,
    )


def _desk(opened: Opened, chosen: ImageSeries, series: list[ImageSeries], *, graded: bool) -> dict[str, Any]:
    """What the page's scripts begin from; nothing that names the patient."""
    item, task = opened.item, opened.task
    beside = [each for each in series if each.role in task.beside and each != chosen]
    beside.sort(key=lambda each: task.beside.index(each.role or ""))
    return {
        "address": f"/review/{item.id}/edit",
        "series": chosen.key,
        "beside": [{"key": each.key, "role": each.role} for each in beside],
        "labels": [
            {
                "value": label.value,
                "name": label.name,
                "meaning": label.meaning,
                "colour": "#{:02x}{:02x}{:02x}".format(*label.colour),
            }
            for label in task.labels
        ],
        "base": opened.start_digest,
        "answer": item.ai_digest if any(each.mask_digest == item.ai_digest for each in opened.shown) else None,
        "standing": next((each.mask_digest for each in opened.shown if each.name == "Standing"), ""),
        "shown": [{"name": each.name, "digest": each.mask_digest} for each in opened.shown],
        "mayDraw": opened.may_draw,
        "slot": opened.slot.value if opened.slot is not None else None,
        "state": item.state.value,
        "graded": graded,
        "hints": task.hints.model_dump(),
        "comments": [
            {
                "author": each.author,
                "text": each.text,
                "voxel": each.voxel,
                "doubtful": each.doubtful,
                "at": f"{each.at:%Y-%m-%d %H:%M} UTC",
            }
            for each in opened.comments
        ],
    }


@router.get("/review/{item}/edit/series/{series}/geometry")
def get_geometry(request: Request, site: SiteDependency, account: Expert, item: int, series: str) -> Response:
    """Where the voxels are in the patient."""
    return JSONResponse(_images(request, site, account, item, series).geometry)


@router.get("/review/{item}/edit/series/{series}/voxels")
def get_voxels(request: Request, site: SiteDependency, account: Expert, item: int, series: str) -> Response:
    """A series on the slices that are drawn on: int16, little-endian, slice by slice, row by row."""
    images = _images(request, site, account, item, series)
    return Response(images.voxels.tobytes(), media_type="application/octet-stream")


@router.get("/review/{item}/edit/labels/brain")
def get_brain(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    """Where the brain is on the MR series that is drawn on, as a mask, for the hint that something lies outside it."""
    with refusals(), site.connection() as connection:
        opened = open_item(site.context, connection, item, account)
    images = _images(request, site, account, item, opened.item.series_key)
    brain = None if images.is_ct else brain_on(images.volume)
    if brain is None:
        raise HTTPException(404, gettext("The brain cannot be told from the rest on these images."))
    return _planes(brain.astype(np.uint8))


@router.get("/review/{item}/edit/labels/{digest}")
def get_mask(request: Request, site: SiteDependency, account: Expert, item: int, digest: str) -> Response:
    """A mask: uint8 planes of the slices named in the header `x-nightjar-slices`, in that order."""
    with refusals(), site.connection() as connection:
        mask = read_mask(site.context, connection, account, item, digest)
        opened = open_item(site.context, connection, item, account)
        audit(connection, request, "mask", account, study_uid=opened.item.study_uid)
    return _planes(mask.labels)


@router.post("/review/{item}/edit/mask")
async def save_mask(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    x_nightjar_slices: Annotated[str, Header(max_length=20000)],
    base: Annotated[str, Query(max_length=64)] = "",
    tool: Annotated[str, Query(max_length=200)] = "",
    submit: Annotated[bool, Query()] = False,
    over: Annotated[bool, Query()] = False,
) -> Response:
    """A version of the mask: gzipped uint8 planes of the slices in the header; with `submit`, handed in.

    With `over` it takes the place of whatever was saved last, which is kept as every version is.
    """
    body = await request.body()

    def save() -> Response:
        with refusals():
            with site.connection() as connection:
                opened = open_item(site.context, connection, item, account)
            grid = sources.read_grid(site.context, opened.item.series_uid)
            labels = _unpack(body, x_nightjar_slices, grid.shape)
            try:
                saved = workflow.save(
                    site.context,
                    account,
                    item,
                    Mask(labels, grid),
                    base_digest=opened.latest.mask_digest if over and opened.latest is not None else base or None,
                    tool=f"{TOOL}: {tool}" if tool else TOOL,
                    submit=submit,
                )
            except StaleBase as error:
                return JSONResponse({"detail": say_again(str(error)), "stale": True}, status_code=409)
            if submit:
                with site.connection() as connection:
                    audit(connection, request, "annotate", account, study_uid=opened.item.study_uid)
        return JSONResponse({"digest": saved.mask_digest, "version": saved.id, "unchanged": saved.unchanged})

    return await run_in_threadpool(save)


class NewComment(BaseModel):
    """A remark, pinned to a voxel (slice, row, column) or of the whole."""

    text: str
    voxel: tuple[int, int, int] | None = None
    doubtful: bool = False


@router.post("/review/{item}/edit/comments")
def add_comment(site: SiteDependency, account: Expert, item: int, comment: NewComment) -> Response:
    with refusals():
        said = workflow.comment(
            site.context, account, item, comment.text, voxel=comment.voxel, doubtful=comment.doubtful
        )
    return JSONResponse({"author": said.author, "at": f"{said.at:%Y-%m-%d %H:%M} UTC"}, status_code=201)


@router.post("/review/{item}/edit/grade")
def grade_images(
    site: SiteDependency,
    account: Expert,
    item: int,
    value: Annotated[int, Form()],
    motion: Annotated[bool, Form()] = False,
    metal: Annotated[bool, Form()] = False,
) -> Response:
    """The reader's grade of the images; answers the state the workitem is in afterwards."""
    with refusals():
        state = workflow.grade(site.context, account, item, value, motion=motion, metal=metal)
    return JSONResponse({"state": state.value})


@router.post("/review/{item}/edit/decision")
def decide(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    target: Annotated[State, Form()],
    reason: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """A reviewer's decision, made beside the images."""
    with refusals():
        workflow.decide(site.context, account, item, target, reason)
        with site.connection() as connection:
            opened = open_item(site.context, connection, item, account)
            audit(connection, request, "decide", account, study_uid=opened.item.study_uid)
    return JSONResponse({"state": target.value})


def _planes(labels: Labels) -> Response:
    """The slices of a mask that show anything, gzipped, with their indices in a header."""
    slices = np.flatnonzero(labels.any(axis=(1, 2)))
    return Response(
        gzip.compress(labels[slices].tobytes(), compresslevel=1, mtime=0),
        media_type="application/octet-stream",
        headers={"Content-Encoding": "gzip", "x-nightjar-slices": json.dumps(slices.tolist())},
    )


def _unpack(body: bytes, slices: str, shape: tuple[int, int, int]) -> Labels:
    """The whole mask from the planes that show something.

    Raises:
        HTTPException: 422, what was sent is not all there, or not of these images.
    """
    try:
        indices = json.loads(slices)
        decompressor = zlib.decompressobj(wbits=31)
        planes = decompressor.decompress(body, LARGEST_MASK_BYTES)
        whole = decompressor.eof and all(isinstance(k, int) and 0 <= k < shape[0] for k in indices)
    except (ValueError, TypeError, zlib.error):
        whole = False
    if not whole or len(set(indices)) != len(indices) or len(planes) != len(indices) * shape[1] * shape[2]:
        raise HTTPException(422, gettext("The mask did not arrive whole: nothing was saved. It is sent again."))
    labels = np.zeros(shape, np.uint8)
    labels[indices] = np.frombuffer(planes, np.uint8).reshape(-1, shape[1], shape[2])
    return labels


def _images(request: Request, site: Site, account: Account, item: int, series_key: str) -> Images:
    """A series of the workitem's study on the grid that is drawn on; who looks is in the audit trail first."""
    with refusals(), site.connection() as connection:
        opened = open_item(site.context, connection, item, account)
        reference = ledger_images.read_content(
            connection, opened.item.study_key, ledger_images.key_of(opened.item.series_uid)
        )
        content = ledger_images.read_content(connection, opened.item.study_key, series_key)
        if content is None or reference is None:
            raise HTTPException(404, gettext("There is no such series here."))
        series = ledger_images.list_image_series(connection, opened.item.study_uid)
        is_adc = any(each.key == series_key and each.role == "ADC" for each in series)
        audit(connection, request, "images", account, study_uid=opened.item.study_uid)
    shelf, store = site.shelf, site.context.store
    try:
        drawn_on = shelf.get(reference.digest, lambda: read_images(store, reference))
        if content.digest == reference.digest:
            return drawn_on

        def read() -> Images:
            aligned = read_aligned(store, content, reference, drawn_on)
            return in_units_of_adc(aligned) if is_adc else aligned

        return shelf.get(f"{content.digest} on {reference.digest}{' as ADC' if is_adc else ''}", read)
    except InvalidVolume as error:
        raise HTTPException(422, str(error)) from error
