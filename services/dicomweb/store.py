"""STOW-RS (PS3.18 10.5): instances into the same intake as C-STORE, each answered for once it is durable.

The body is read part by part: one instance is in memory at a time, and it is kept before the next is looked at.
"""

import logging
import uuid
from email.message import Message
from functools import partial

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from dicom_router.errors import OUT_OF_RESOURCES, Mismatch, Unreadable, status_of
from dicom_router.header import read_header
from dicom_router.persist import persist
from services.context import Context
from services.dicomweb.access import Client, audit
from services.dicomweb.addresses import PREFIX, base_url, check_json
from services.dicomweb.dicom_json import Json, attribute, dumps
from services.dicomweb.media import DICOM, DICOM_JSON, MULTIPART
from services.dicomweb.multipart import BOUNDARY, InvalidBody, Part, PartReader
from services.errors import NightjarError
from services.ledger.accounts import Account
from services.ledger.intake import Sender, close_association
from services.part10 import NotDICOM, StoredInstance, from_bytes
from services.triage.site import Site, SiteDependency

LARGEST_BYTES = 2 << 30
"""Of one instance; it is in memory while it is kept."""

CANNOT_UNDERSTAND = 0xC000
RETRY_AFTER_S = 60
AE_TITLE_CHARACTERS = 16

router = APIRouter(prefix=PREFIX, include_in_schema=False)
_log = logging.getLogger(__name__)


class _Answer:
    """The Store Instances Response (PS3.18 10.5.3 and I.2.2) as it grows."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.stored: list[Json] = []
        self.failed: list[Json] = []
        self.unread: list[Json] = []
        self.statuses: set[int] = set()
        self.studies: set[str] = set()

    def keep(self, instance: StoredInstance, study_uid: str, series_uid: str) -> None:
        url = f"{self._base}/studies/{study_uid}/series/{series_uid}/instances/{instance.sop_instance_uid}"
        self.studies.add(study_uid)
        self.stored.append(_reference(instance) | dict([attribute("RetrieveURL", url)]))

    def fail(self, instance: StoredInstance | None, status: int) -> None:
        self.statuses.add(status)
        reason = dict([attribute("FailureReason", status)])
        if instance is None:
            self.unread.append(reason)
        else:
            self.failed.append(_reference(instance) | reason)

    @property
    def http_status(self) -> int:
        """200 all stored, 202 some, 409 none; 503 when none was and the sender may simply try again."""
        if not self.statuses:
            return 200
        if self.stored:
            return 202
        return 503 if self.statuses == {OUT_OF_RESOURCES} else 409

    def encode(self, study_uid: str | None) -> bytes:
        answer: Json = {}
        if study_uid is not None and self.stored:
            answer |= dict([attribute("RetrieveURL", f"{self._base}/studies/{study_uid}")])
        for tag, items in (("00081198", self.failed), ("00081199", self.stored), ("0008119A", self.unread)):
            if items:
                answer[tag] = {"vr": "SQ", "Value": items}
        return dumps(dict(sorted(answer.items())))


@router.post("/studies")
async def store_instances(request: Request, site: SiteDependency, account: Client) -> Response:
    return await _store(request, site, account, None)


@router.post("/studies/{study}")
async def store_instances_of_study(request: Request, site: SiteDependency, account: Client, study: str) -> Response:
    """Only instances of this study are kept."""
    return await _store(request, site, account, study)


async def _store(request: Request, site: Site, account: Account, study_uid: str | None) -> Response:
    check_json(request)
    context = site.context
    reader = PartReader(_boundary(request), LARGEST_BYTES)
    sender = Sender(uuid.uuid4(), account.name[:AE_TITLE_CHARACTERS], context.settings.router.ae_title, "rest")
    answer = _Answer(base_url(request))
    ending = "lost"
    try:
        async for piece in request.stream():
            for part in reader.feed(piece):
                await run_sync(partial(_keep, context, sender, part, study_uid, answer))
        reader.finish()
        ending = "released"
    except InvalidBody as error:
        ending = "aborted"
        if not answer.stored:
            raise HTTPException(400, str(error)) from error
        answer.fail(None, CANNOT_UNDERSTAND)  # what came before is kept, and said to be
    finally:
        await run_sync(partial(_close, context, sender, ending))
    for study in sorted(answer.studies):
        await run_sync(audit, site, request, account, "DICOMweb store", study)
    if not (answer.stored or answer.statuses):
        raise HTTPException(400, "The body holds no instance.")
    headers = {"Retry-After": str(RETRY_AFTER_S)} if answer.http_status == 503 else None
    return Response(answer.encode(study_uid), answer.http_status, headers, DICOM_JSON)


def _boundary(request: Request) -> str:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    boundary = str(message.get_param("boundary", ""))
    parts = str(message.get_param("type", DICOM)).lower()
    if message.get_content_type() != MULTIPART or parts != DICOM:
        raise HTTPException(415, f'Send {MULTIPART}; type="{DICOM}", a DICOM file in each part.')
    if not BOUNDARY.fullmatch(boundary):
        raise HTTPException(400, "The Content-Type names no boundary.")
    return boundary


def _keep(context: Context, sender: Sender, part: Part, study_uid: str | None, answer: _Answer) -> None:
    """One part into the store and the ledger; whatever happens becomes its line of the answer."""
    try:
        instance = from_bytes(bytes(part.data))
    except NotDICOM:
        answer.fail(None, CANNOT_UNDERSTAND)
        return
    try:
        data_set = instance.load()
        if study_uid is not None:
            _check_study(data_set, instance, study_uid)
        persist(
            context,
            data_set,
            instance.transfer_syntax_uid,
            sender,
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )
        header = read_header(data_set, instance.transfer_syntax_uid)
    except Exception as error:  # noqa: BLE001 - whatever happened, the sender learns it and the next part is looked at
        if not isinstance(error, NightjarError):
            # The text of a stranger's exception may quote a header: its kind is all that is written.
            _log.error("An instance could not be kept (%s).", type(error).__name__)
        answer.fail(instance, status_of(error))
    else:
        answer.keep(instance, header.study_uid, header.series_uid)


def _check_study(data_set: bytes, instance: StoredInstance, study_uid: str) -> None:
    """Refuse an instance of another study than the address names; one that cannot be read is intake's to quarantine."""
    try:
        header = read_header(data_set, instance.transfer_syntax_uid)
    except Unreadable:
        return
    if header.study_uid != study_uid:
        raise Mismatch("The instance belongs to another study than the address names.")


def _close(context: Context, sender: Sender, ending: str) -> None:
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, ending, context.now())


def _reference(instance: StoredInstance) -> Json:
    return dict(
        [
            attribute("ReferencedSOPClassUID", instance.sop_class_uid),
            attribute("ReferencedSOPInstanceUID", instance.sop_instance_uid),
        ]
    )
