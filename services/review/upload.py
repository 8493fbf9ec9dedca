"""The upload page: a mask drawn elsewhere, checked and shown with its labels and Dice before anything is stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from starlette.responses import JSONResponse, Response

from services.languages import gettext
from services.languages.recorded import say_again
from services.ledger import worklist
from services.ledger.accounts import Account
from services.review import sources, workflow
from services.review.incoming import Incoming, OtherGrid, TaskLabel, apply_mapping, propose_mapping
from services.review.mask_nifti import read_nifti_mask
from services.review.mask_seg import read_segmentation
from services.review.masks import InvalidMask, Mask, dice
from services.review.opening import Opened, open_item
from services.review.people import Expert, refusals
from services.triage.site import Site, SiteDependency, audit

LARGEST_BYTES = 256 * 2**20
_DICOM_AT, _DICOM = 128, b"DICM"

router = APIRouter(include_in_schema=False)

Mapped = dict[int, int | None]


@dataclass(frozen=True, eq=False)
class Checked:
    """A file that can be taken: what it marks, and which of its numbers is which label."""

    kind: str
    incoming: Incoming
    mapping: Mapped


@router.get("/review/{item}/upload")
def show_upload(request: Request, site: SiteDependency, account: Expert, item: int) -> Response:
    with refusals(), site.connection() as connection:
        opened = open_item(site.context, connection, item, account)
        audit(connection, request, "upload page", account, study_uid=opened.item.study_uid)
    with site.connection() as connection:
        study = worklist.read_study(connection, opened.item.study_key)
    if study is None:
        raise HTTPException(404, gettext("There is no such study here."))
    return site.render(request, "upload.html", opened=opened, study=study.study)


@router.post("/review/{item}/upload/check")
def check_upload(
    site: SiteDependency,
    account: Expert,
    item: int,
    file: Annotated[UploadFile, File()],
    mapping: Annotated[str, Form(max_length=20000)] = "",
    resampled: Annotated[bool, Form()] = False,
) -> Response:
    """What a file would become; nothing is stored. A mismatch is an answer too, with its exact sentence."""
    with refusals():
        opened = _open(site, account, item)
        data = _read(file)
    try:
        checked = _check(site, opened, data, mapping, resampled=resampled)
    except OtherGrid as error:
        return JSONResponse({"problem": say_again(str(error)), "can_resample": True})
    except InvalidMask as error:
        return JSONResponse({"problem": say_again(str(error)), "can_resample": False})
    return JSONResponse(_describe(site, opened, checked))


@router.post("/review/{item}/upload")
def take_upload(
    request: Request,
    site: SiteDependency,
    account: Expert,
    item: int,
    file: Annotated[UploadFile, File()],
    mapping: Annotated[str, Form(max_length=20000)],
    resampled: Annotated[bool, Form()] = False,
) -> Response:
    """Store a file as a version of one's own mask; it is handed in from the editor."""
    with refusals():
        opened = _open(site, account, item)
        checked = _check(site, opened, _read(file), mapping, resampled=resampled)
        mask = apply_mapping(checked.incoming, checked.mapping, _labels(opened))
        tool = f"upload: {checked.kind}{', resampled' if checked.incoming.resampled else ''}"
        saved = workflow.save(site.context, account, item, mask, base_digest=opened.start_digest, tool=tool)
        with site.connection() as connection:
            audit(connection, request, "upload", account, study_uid=opened.item.study_uid)
    return JSONResponse({"digest": saved.mask_digest, "next": f"/review/{item}/edit"})


def _open(site: Site, account: Account, item: int) -> Opened:
    with site.connection() as connection:
        opened = open_item(site.context, connection, item, account)
    if opened.why_not is not None:
        raise HTTPException(409, opened.why_not)
    return opened


def _read(file: UploadFile) -> bytes:
    data = file.file.read(LARGEST_BYTES + 1)
    if not data:
        raise InvalidMask("The file is empty.")
    if len(data) > LARGEST_BYTES:
        raise InvalidMask(f"The file has more than {LARGEST_BYTES // 2**20} MiB, which is no mask of these images.")
    return data


def _labels(opened: Opened) -> list[TaskLabel]:
    return [TaskLabel(label.value, label.name, label.meaning) for label in opened.task.labels]


def _check(site: Site, opened: Opened, data: bytes, mapping: str, *, resampled: bool) -> Checked:
    grid = sources.read_grid(site.context, opened.item.series_uid)
    if data[_DICOM_AT : _DICOM_AT + len(_DICOM)] == _DICOM:
        kind = "DICOM SEG"
        incoming = read_segmentation(data, grid, study_uid=opened.item.study_uid, resampled=resampled)
    else:
        kind, incoming = "NIfTI", read_nifti_mask(data, grid, resampled=resampled)
    labels = _labels(opened)
    proposed = propose_mapping(incoming, labels)
    return Checked(kind, incoming, _given(mapping, incoming) if mapping else proposed)


def _given(mapping: str, incoming: Incoming) -> Mapped:
    """The mapping somebody chose; an empty choice is none."""
    try:
        chosen: Mapping[str, int | None] = json.loads(mapping)
        return {number: chosen.get(str(number)) for number in incoming.numbers}
    except (ValueError, AttributeError):
        raise InvalidMask("The choice of labels did not arrive whole. Choose again.") from None


def _describe(site: Site, opened: Opened, checked: Checked) -> dict[str, Any]:
    incoming = checked.incoming
    described: dict[str, Any] = {
        "kind": checked.kind,
        "notes": [say_again(note) for note in incoming.notes],
        "resampled": incoming.resampled,
        "numbers": [
            {"number": number, "name": incoming.names.get(number), "voxels": voxels, "label": checked.mapping[number]}
            for number, voxels in incoming.numbers.items()
        ],
        "labels": None,
    }
    if any(value is None for value in checked.mapping.values()):
        return described
    try:
        mask = apply_mapping(incoming, checked.mapping, _labels(opened))
    except InvalidMask as error:
        return described | {"unusable": say_again(str(error))}
    return described | {"labels": _compare(site, opened, mask), "slices": int(mask.labels.any(axis=(1, 2)).sum())}


def _compare(site: Site, opened: Opened, mask: Mask) -> list[dict[str, Any]]:
    """Per label that either has: millilitres, and Dice against what is there now and against the AI."""
    shown = {each.mask_digest for each in opened.shown}
    now = sources.get_mask(site.context.store, opened.start_digest) if opened.start_digest else None
    answer = opened.item.ai_digest if opened.item.ai_digest in shown else None
    ai = sources.get_mask(site.context.store, answer) if answer else None
    volumes, before = mask.volumes_ml(), now.volumes_ml() if now is not None else {}
    return [
        {
            "name": label.name,
            "volume_ml": volumes.get(label.value, 0.0),
            "now_ml": before.get(label.value, 0.0),
            "dice_now": _dice(mask, now, label.value),
            "dice_ai": _dice(mask, ai, label.value),
        }
        for label in opened.task.labels
        if label.value in volumes or label.value in before
    ]


def _dice(mask: Mask, other: Mask | None, value: int) -> float | None:
    return None if other is None else dice(mask.labels == value, other.labels == value)
