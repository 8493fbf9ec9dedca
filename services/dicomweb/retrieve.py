"""WADO-RS (PS3.18 10.4): instances, metadata, frames and bulk data. Answers are streamed, an instance at a time."""

import re
import uuid
from collections.abc import Iterable, Iterator

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from services.dicomweb.access import Client
from services.dicomweb.addresses import PREFIX, accepted, base_url, check_json, find_held
from services.dicomweb.dicom_json import Json, attribute, dumps, encode_dataset
from services.dicomweb.media import ANY, DICOM, DICOM_JSON, EXPLICIT, NATIVE, OCTETS, frame_form, instance_syntaxes
from services.dicomweb.multipart import content_type, write_parts
from services.dicomweb.stored import (
    can_transcode,
    count_frames,
    read_bulk,
    read_frames,
    read_header,
    read_pieces,
    transcode,
)
from services.ledger.holdings import Held
from services.storage import Store
from services.triage.site import Site, SiteDependency

router = APIRouter(prefix=PREFIX, include_in_schema=False)

_STUDY = "/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
_INSTANCE = _SERIES + "/instances/{instance}"
_LOOK = "DICOMweb retrieve"
_FRAMES = re.compile(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*")


@router.get(_STUDY)
def retrieve_study(request: Request, site: SiteDependency, account: Client, study: str) -> Response:
    return _instances(request, site, find_held(request, site, account, study, action=_LOOK))


@router.get(_SERIES)
def retrieve_series(request: Request, site: SiteDependency, account: Client, study: str, series: str) -> Response:
    return _instances(request, site, find_held(request, site, account, study, series, action=_LOOK))


@router.get(_INSTANCE)
def retrieve_instance(
    request: Request, site: SiteDependency, account: Client, study: str, series: str, instance: str
) -> Response:
    return _instances(request, site, find_held(request, site, account, study, series, instance, action=_LOOK))


@router.get(_STUDY + "/metadata")
def retrieve_study_metadata(request: Request, site: SiteDependency, account: Client, study: str) -> Response:
    return _metadata(request, site, find_held(request, site, account, study, action=_LOOK))


@router.get(_SERIES + "/metadata")
def retrieve_series_metadata(
    request: Request, site: SiteDependency, account: Client, study: str, series: str
) -> Response:
    return _metadata(request, site, find_held(request, site, account, study, series, action=_LOOK))


@router.get(_INSTANCE + "/metadata")
def retrieve_instance_metadata(
    request: Request, site: SiteDependency, account: Client, study: str, series: str, instance: str
) -> Response:
    return _metadata(request, site, find_held(request, site, account, study, series, instance, action=_LOOK))


@router.get(_INSTANCE + "/frames/{frames}")
def retrieve_frames(
    request: Request, site: SiteDependency, account: Client, study: str, series: str, instance: str, frames: str
) -> Response:
    """Frames by number, 1-based, separated by commas."""
    [held] = find_held(request, site, account, study, series, instance, action=_LOOK)
    if not _FRAMES.fullmatch(frames):
        raise HTTPException(400, "Frames are named by their numbers, from 1 on, with commas between.")
    numbers = [int(number) for number in frames.split(",")]
    there = count_frames(site.context.store, held)
    if max(numbers) > there:
        raise HTTPException(404, f"This instance has {there} frames." if there else "This instance has no pixels.")
    return _frames(request, site, held, numbers)


@router.get(_INSTANCE + "/bulkdata/{path:path}")
def retrieve_bulk_data(
    request: Request, site: SiteDependency, account: Client, study: str, series: str, instance: str, path: str
) -> Response:
    """A binary value that metadata named instead of holding it."""
    [held] = find_held(request, site, account, study, series, instance, action=_LOOK)
    store = site.context.store
    if path == "7FE00010" and held.transfer_syntax_uid not in NATIVE:
        return _frames(request, site, held, list(range(1, count_frames(store, held) + 1)))
    ranges = accepted(request)
    if not any(entry.type in (OCTETS, "application/*", "*/*") for entry in ranges):
        raise HTTPException(406, f"Bulk data is {OCTETS}; ask for that.")
    try:
        value = read_bulk(store, held, path)
    except KeyError:
        raise HTTPException(404, "This instance has no such bulk data.") from None
    if ranges[0].kind == OCTETS:
        return Response(value, media_type=OCTETS)
    return _multipart(OCTETS, [(OCTETS, [value])])


def _instances(request: Request, site: Site, held: list[Held]) -> Response:
    ranges = accepted(request)
    wanted = instance_syntaxes(ranges)
    if not wanted:
        raise HTTPException(406, f"Instances are {DICOM}; ask for that.")
    syntaxes = {each.transfer_syntax_uid for each in held}
    as_kept = {syntax for syntax in syntaxes if ANY in wanted or syntax in wanted}
    stuck = {syntax for syntax in syntaxes - as_kept if EXPLICIT not in wanted or not can_transcode(syntax)}
    if stuck:
        raise HTTPException(
            406, f"Kept in transfer syntax {', '.join(sorted(stuck))}; ask for that, or for transfer-syntax=*."
        )
    parts = ((each, each.transfer_syntax_uid in as_kept) for each in held)
    store = site.context.store
    if len(held) == 1 and ranges[0].kind == DICOM:
        return StreamingResponse(_file(store, held[0], held[0].transfer_syntax_uid in as_kept), media_type=DICOM)
    return _multipart(
        DICOM,
        (
            (f"{DICOM}; transfer-syntax={each.transfer_syntax_uid if kept else EXPLICIT}", _file(store, each, kept))
            for each, kept in parts
        ),
    )


def _file(store: Store, held: Held, as_kept: bool) -> Iterator[bytes]:
    file = store.open(held.digest)
    if as_kept:
        yield from read_pieces(file)
    else:
        yield transcode(file)


def _frames(request: Request, site: Site, held: Held, numbers: list[int]) -> Response:
    form = frame_form(accepted(request), held.transfer_syntax_uid)
    if form is None or (form.decoded and not can_transcode(held.transfer_syntax_uid)):
        raise HTTPException(
            406, f"Kept in transfer syntax {held.transfer_syntax_uid}; ask for that, or for {OCTETS} with any."
        )
    frames = read_frames(site.context.store, held, numbers, decoded=form.decoded)
    return _multipart(form.content_type.split(";")[0], ((form.content_type, [frame]) for frame in frames))


def _multipart(part_type: str, parts: Iterable[tuple[str, Iterable[bytes]]]) -> Response:
    boundary = uuid.uuid4().hex
    return StreamingResponse(write_parts(boundary, parts), media_type=content_type(boundary, part_type))


def _metadata(request: Request, site: Site, held: list[Held]) -> Response:
    check_json(request)
    return StreamingResponse(_metadata_pieces(site.context.store, held, base_url(request)), media_type=DICOM_JSON)


def _metadata_pieces(store: Store, held: list[Held], base: str) -> Iterator[bytes]:
    for number, each in enumerate(held):
        yield (b"," if number else b"[") + dumps(_describe(store, each, base))
    yield b"]"


def _describe(store: Store, held: Held, base: str) -> Json:
    """An instance's attributes; pixels and other large values as addresses."""
    url = f"{base}/studies/{held.study_uid}/series/{held.series_uid}/instances/{held.sop_instance_uid}"
    with store.open(held.digest) as file:
        header, pixels = read_header(file)
    encoded = encode_dataset(header, f"{url}/bulkdata")
    encoded |= dict([attribute("AvailableTransferSyntaxUID", held.transfer_syntax_uid)])
    if pixels is not None:
        encoded[pixels] = {"vr": "OW", "BulkDataURI": f"{url}/bulkdata/{pixels}"}
    return dict(sorted(encoded.items()))
