"""The DICOM listener: Storage and Verification SCP. The only module of this package that knows pynetdicom."""

import errno
import logging
import socket
import threading
import time
import uuid
from datetime import timedelta
from typing import Any, cast

import psycopg
from psycopg_pool import PoolTimeout
from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ABORT
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from dicom_router.errors import INVALID_ARGUMENT, PROCESSING_FAILURE, SUCCESS, status_of
from dicom_router.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_router.persist import persist
from dicom_router.tls import ListenerTLS
from services.context import Context
from services.errors import NightjarError, SettingsError
from services.ledger import commitments
from services.ledger.intake import Sender, close_association, close_stale_associations, open_association
from services.operations.ending import AskedToEnd
from services.operations.instruments import ASSOCIATIONS, ASSOCIATIONS_ENDED, C_STORE_ANSWERS, CERTIFICATE_EXPIRES
from services.operations.probes import Health
from services.storage_commitment import SOP_CLASS, read_report

_log = logging.getLogger(__name__)

_WATCH_S = 1.0
_NETWORK_TIMEOUT_S = 600.0  # a PACS may hold an association open for long between two studies
_STALE_PERIOD_S = 60.0
_STALE_AFTER = timedelta(seconds=_NETWORK_TIMEOUT_S + 60)


class _Server(ThreadedAssociationServer):
    """Answers leave at once: a sender that waits for each response must not wait for a delayed acknowledgement."""

    request_queue_size = 128
    tls: ListenerTLS | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake is the connection's own: who never ends it keeps nobody waiting."""
        if self.tls is not None:
            try:
                request = self.tls.accept(request)
            except OSError as error:
                _log.warning("A TLS handshake failed (%s).", getattr(error, "reason", None) or type(error).__name__)
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)


class _Peer:
    """An association as the ledger sees it."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.ending = "lost"  # until a release or an abort says otherwise


class Listener:
    """Receives instances into the store and the ledger.

    Associations run in threads of their own. Success is answered once `persist` has returned, never before.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._servers: list[_Server] = []
        self._tls: ListenerTLS | None = None
        self._peers: dict[Association, _Peer] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._draining = False

    @property
    def port(self) -> int:
        """The port bound to; that without TLS where there are two."""
        if not self._servers:
            raise RuntimeError("the listener is not started")
        return int(self._servers[0].server_address[1])

    @property
    def associations(self) -> int:
        """How many associations are running."""
        with self._lock:
            return sum(association.is_alive() for association in self._peers)

    @property
    def name(self) -> str:
        """What the ledger calls this listener among several; the same in its next life."""
        return f"{socket.gethostname()}:{self.port}"

    def why_not_ready(self) -> str | None:
        """Why a new association should go to another listener; None: it is welcome here."""
        if not self._servers:
            return "The listener is not started."
        return "The listener is draining." if self._draining else None

    def start(self) -> None:
        """Close what an earlier life left open, then listen.

        Raises:
            SettingsError: the address cannot be bound, or a certificate cannot be used.
        """
        router = self._context.settings.router
        self._tls = None if router.tls is None else ListenerTLS(router.tls)
        # Private and retired storage classes hold images too, and a refused context is an instance lost: with this flag
        # every storage class in any transfer syntax is accepted, also those pynetdicom has no name for. The flag is the
        # process's, but it is looked at only where an association is accepted.
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        _config.LOG_HANDLER_LEVEL = "none"
        entity = AE(ae_title=router.ae_title)
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        entity.maximum_pdu_size = 0
        entity.maximum_associations = router.maximum_associations
        entity.network_timeout = _NETWORK_TIMEOUT_S
        entity.add_supported_context(Verification)
        # Archives report what they commit to in the role they had when they were asked (PS3.4 J.3.3).
        entity.add_supported_context(SOP_CLASS, scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, _prefer_known_transfer_syntaxes),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_EVENT_REPORT, self._on_report),
            (evt.EVT_ACSE_RECV, self._on_acse),
            (evt.EVT_RELEASED, lambda event: self._on_end(event, "released")),
            (evt.EVT_ABORTED, lambda event: self._on_end(event, None)),
            (evt.EVT_REJECTED, lambda _: ASSOCIATIONS_ENDED.labels("rejected").inc()),
        ]
        if router.tls is None or not router.tls.only:
            self._listen(entity, "router.port", router.port, handlers)
        if self._tls is not None and router.tls is not None:
            self._listen(entity, "router.tls.port", router.tls.port, handlers, self._tls)
            CERTIFICATE_EXPIRES.set_function(lambda: 0.0 if self._tls is None else self._tls.expires_at)
        self._close_stale(self.name)
        ASSOCIATIONS.set_function(lambda: self.associations)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), name="dicom-listener", daemon=True).start()
        self._watcher = threading.Thread(target=self._watch, name="dicom-watcher", daemon=True)
        self._watcher.start()

    def _listen(self, entity: AE, setting: str, port: int, handlers: list[Any], tls: ListenerTLS | None = None) -> None:
        host = self._context.settings.router.host
        try:
            server = cast("_Server", entity.make_server((host, port), evt_handlers=handlers, server_class=_Server))
        except OSError as error:
            for open_already in self._servers:
                open_already.server_close()
            named = f"{setting} = {port}"
            if error.errno != errno.EADDRINUSE:
                named = f"router.host = {host}, {named}"
            raise SettingsError(f"{named}: cannot listen there ({error.strerror}). Choose another.") from error
        server.tls = tls
        entity._servers.append(server)
        self._servers.append(server)

    def stop(self) -> None:
        """Take no new association, wait for the running ones, abort those still there after `router.drain_s`."""
        if self._watcher is None:
            return
        self._draining = True
        for server in self._servers:
            server.shutdown()
            server.server_close()  # who knocks now is refused at once, and tries another listener
        deadline = time.monotonic() + self._context.settings.router.drain_s
        while self.associations and time.monotonic() < deadline:
            time.sleep(0.05)
        with self._lock:
            remaining = [association for association in self._peers if association.is_alive()]
        for association in remaining:
            association.abort()
            association.join(5)
        self._stopping.set()
        self._watcher.join()
        self._watcher = None
        self._servers = []

    def _on_established(self, event: Any) -> None:
        association = event.assoc
        sender = Sender(
            association_id=uuid.uuid4(),
            calling_ae=str(association.requestor.ae_title),
            called_ae=str(association.requestor.primitive.called_ae_title),
            peer=f"{association.requestor.address}:{association.requestor.port}",
            listener=self.name,
        )
        with self._lock:
            self._peers[association] = _Peer(sender)
        try:
            with self._context.pool.connection() as connection:
                open_association(connection, sender, self._context.now())
        except Exception:  # noqa: BLE001 - an association must not end because the ledger is away
            # The first instance writes the row again; without a ledger it gets its own refusal.
            _log.exception("The row of an association could not be written.")

    def _on_store(self, event: Any) -> int | Dataset:
        answer = self._store(event)
        C_STORE_ANSWERS.labels(f"0x{answer if isinstance(answer, int) else answer.Status:04X}").inc()
        return answer

    def _store(self, event: Any) -> int | Dataset:
        with self._lock:
            peer = self._peers[event.assoc]
        request = event.request
        try:
            persist(
                self._context,
                request.DataSet.getvalue() if request.DataSet else b"",
                str(event.context.transfer_syntax),
                peer.sender,
                sop_class_uid=_text(request.AffectedSOPClassUID),
                sop_instance_uid=_text(request.AffectedSOPInstanceUID),
            )
        except Exception as error:  # noqa: BLE001 - whatever happened, the sender learns it and the association goes on
            return _failure(error)
        return SUCCESS

    def _on_report(self, event: Any) -> tuple[int, None]:
        """An archive says what it commits to keep; only what was asked is listened to."""
        try:
            report = read_report(event.event_information)
            with self._context.pool.connection() as connection:
                known = commitments.answer(connection, report)
        except Exception as error:  # noqa: BLE001 - whatever happened, the archive learns it and may say it again
            _log.error("A storage commitment could not be taken (%s).", type(error).__name__)
            return PROCESSING_FAILURE, None
        return (SUCCESS if known else INVALID_ARGUMENT), None

    def _on_acse(self, event: Any) -> None:
        with self._lock:
            peer = self._peers.get(event.assoc)
        if peer is not None and isinstance(event.primitive, A_ABORT):
            peer.ending = "aborted"

    def _on_end(self, event: Any, ending: str | None) -> None:
        with self._lock:
            peer = self._peers.get(event.assoc)
        if peer is None:
            return
        peer.ending = ending or peer.ending
        self._close(event.assoc, peer)

    def _close(self, association: Association, peer: _Peer) -> None:
        try:
            with self._context.pool.connection() as connection:
                close_association(connection, peer.sender.association_id, peer.ending, self._context.now())
        except Exception:  # noqa: BLE001 - the watcher comes back to it
            _log.exception("An association could not be closed in the ledger; it is tried again.")
            return
        with self._lock:
            if self._peers.pop(association, None) is not None:
                ASSOCIATIONS_ENDED.labels(peer.ending).inc()

    def _watch(self) -> None:
        """Close what ended without a word, or while the ledger was away."""
        stopping, looked_at = False, time.monotonic()
        while not stopping:
            stopping = self._stopping.wait(_WATCH_S)
            if self._tls is not None:
                self._tls.refresh()
            if time.monotonic() - looked_at > _STALE_PERIOD_S:
                looked_at = time.monotonic()
                self._close_stale(None)
            with self._lock:
                ended = [(association, peer) for association, peer in self._peers.items() if not association.is_alive()]
            for association, peer in ended:
                self._close(association, peer)

    def _close_stale(self, name: str | None) -> None:
        """Close what an earlier life of `name`, or a listener that is gone for good, left open."""
        now = self._context.now()
        try:
            with self._context.pool.connection() as connection:
                stale = close_stale_associations(connection, name, now - _STALE_AFTER, now)
        except (psycopg.OperationalError, PoolTimeout):
            if name is not None:
                raise
            return
        if stale:
            _log.warning("%d associations that no listener serves any more are closed as lost.", stale)


def run(context: Context, health: Health | None = None) -> None:
    """Listen until SIGTERM or SIGINT, then end gracefully."""
    asked = AskedToEnd()
    listener = Listener(context)
    listener.start()
    if health is not None:
        health.why_not_ready = listener.why_not_ready
    router = context.settings.router
    _log.info("%s listens on port %d%s.", router.ae_title, listener.port, "" if router.tls is None else
              " with TLS" if router.tls.only else f", and with TLS on port {router.tls.port}")  # fmt: skip
    try:
        asked.wait()
    finally:
        listener.stop()


def _prefer_known_transfer_syntaxes(event: Any) -> None:
    """Of each proposed context the first transfer syntax is taken; a private one would be stored but never readable."""
    for context in event.assoc.requestor.primitive.presentation_context_definition_list:
        known = [syntax for syntax in context.transfer_syntax if syntax in AllTransferSyntaxes]
        if known:
            context.transfer_syntax = known


def _failure(error: Exception) -> Dataset:
    answer = Dataset()
    answer.Status = status_of(error)
    if isinstance(error, NightjarError):
        answer.ErrorComment = str(error)[:64]
    else:
        # The text of a stranger's exception may quote a header: its kind is all that is written.
        _log.error("An instance could not be kept (%s).", type(error).__name__)
    return answer


def _text(uid: Any) -> str | None:
    return None if uid is None else str(uid).replace("\x00", "")
