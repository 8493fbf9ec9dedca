"""One instance into the byte store and the ledger; every way in (C-STORE, STOW-RS, Orthanc) calls this."""

import hashlib
import logging

from dicom_router.errors import ConflictRefused, LowDisk, Mismatch, status_of
from dicom_router.header import Header, read_header
from dicom_router.part10 import part10
from services.context import Context
from services.errors import Reject
from services.ledger.intake import ReceivedInstance, Recorded, Sender, record_instance, record_quarantine

_log = logging.getLogger(__name__)


def persist(
    context: Context,
    data_set: bytes,
    transfer_syntax_uid: str,
    sender: Sender,
    *,
    sop_class_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> Recorded:
    """Keep an instance; once this returns its bytes are durable and its row is committed.

    Args:
        data_set: encoded data set as received, without file meta information.
        sop_class_uid, sop_instance_uid: what the request announced, compared with the data set where given.

    Raises:
        Reject: it is not acceptable; its bytes are kept in quarantine with the reason.
        ConflictRefused: other bytes hold its UID and `router.on_conflict` is refuse; kept and reported all the same.
        LowDisk: nothing was kept.
    """
    _check_room(context)
    try:
        header = read_header(data_set, transfer_syntax_uid)
        _check_announced(header, sop_class_uid, sop_instance_uid)
        recorded = _record(context, header, data_set, transfer_syntax_uid, sender)
    except Reject as error:
        file = part10(sop_class_uid or "", sop_instance_uid or "", transfer_syntax_uid, data_set)
        # Under the digest of the whole file: the key of the data set alone belongs to the instance it may yet become.
        key = context.store.put(file)
        _log.warning("An instance from %s is quarantined: %s", sender.calling_ae, error)
        with context.pool.connection() as connection:
            record_quarantine(
                connection,
                sender,
                sop_class_uid=sop_class_uid,
                sop_instance_uid=sop_instance_uid,
                digest=key,
                reason=str(error),
                status=status_of(error),
                now=context.now(),
            )
        raise
    if recorded is Recorded.CONFLICT and context.settings.router.on_conflict == "refuse":
        raise ConflictRefused("Other bytes are already kept under this SOP Instance UID.")
    return recorded


def _check_room(context: Context) -> None:
    mark_mb = context.settings.router.low_disk_mb
    free = context.store.free_bytes()
    if free is not None and free < mark_mb * 1_000_000:
        raise LowDisk(f"Less than router.low_disk_mb = {mark_mb} MB is free; free some space and send again.")


def _check_announced(header: Header, sop_class_uid: str | None, sop_instance_uid: str | None) -> None:
    if sop_class_uid not in (None, header.sop_class_uid):
        raise Mismatch("The data set's SOP Class UID is not the one the request announced.")
    if sop_instance_uid not in (None, header.sop_instance_uid):
        raise Mismatch("The data set's SOP Instance UID is not the one the request announced.")


def _record(context: Context, header: Header, data_set: bytes, transfer_syntax_uid: str, sender: Sender) -> Recorded:
    digest = hashlib.sha256(data_set).hexdigest()
    context.store.put(part10(header.sop_class_uid, header.sop_instance_uid, transfer_syntax_uid, data_set), key=digest)
    instance = ReceivedInstance(
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        series_uid=header.series_uid,
        study_uid=header.study_uid,
        digest=digest,
        size_bytes=len(data_set),
        study=header.study,
        modality=header.modality,
        description=header.description,
        body_part=header.body_part,
        series_number=header.series_number,
        series_attributes=header.series_attributes,
        instance_attributes=header.instance_attributes,
    )
    with context.pool.connection() as connection:
        return record_instance(connection, instance, sender, context.now())
