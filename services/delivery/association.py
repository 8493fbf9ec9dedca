"""An association that we ask for: opened or explained, and its answers read without pynetdicom's reactor.

The reactor thread now and then takes a response off the queue before the sender sees it; the sender then waits for its
timeout and gets nothing. Here the reactor is kept off the queue: nobody else reads what comes.
"""

import queue
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from services.delivery.verdicts import Verdict

ACKNOWLEDGE_S = 0.001


@dataclass(frozen=True)
class Peer:
    """An AE to send to."""

    ae_title: str
    host: str
    port: int
    timeout_s: float = 30.0

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Problem:
    """Why instances stayed without an answer; final when a new association at once would not help."""

    reason: str = ""
    verdict: Verdict = Verdict.RETRY
    final: bool = False


def connect(
    peer: Peer, calling_ae: str, contexts: Sequence[PresentationContext], handlers: Sequence[Any] = ()
) -> tuple["SCU", Association] | Problem:
    """An established association whose messages `SCU.await_message` reads, or why there is none.

    Args:
        handlers: (event, function) of pynetdicom, for what the peer asks of us.
    """
    ae = SCU(ae_title=calling_ae)
    ae.acse_timeout = ae.dimse_timeout = ae.connection_timeout = peer.timeout_s
    ae.network_timeout = None  # the two above bound every wait of ours
    ae.maximum_pdu_size = 0
    association = ae.associate(
        peer.host,
        peer.port,
        contexts=list(contexts),
        ae_title=peer.ae_title,
        evt_handlers=[(evt.EVT_CONN_OPEN, ae.connected), *handlers],
    )
    if not ae.is_connected:
        ae.close()
        return Problem("nothing answers there", final=True)
    if not association.is_established:
        return _explain(association)
    # Leave every message to `await_message`: what the reactor asks for is never there.
    association.dimse.get_msg = lambda block=False: (None, None)  # type: ignore[method-assign] # noqa: ARG005
    return ae, association


def _explain(association: Association) -> Problem:
    if association.is_rejected:
        return Problem("it rejects the association; check the AE titles it allows", final=True)
    if association.rejected_contexts and not association.accepted_contexts:
        names = sorted({UID(context.abstract_syntax or "").name for context in association.rejected_contexts})
        return Problem(f"it does not accept {', '.join(names)}", Verdict.REJECT, final=True)
    return Problem("it ended the association before it began", final=True)


class SCU(AE):
    """An AE that knows whether its one connection came up, sends small packets at once, and closes one that did not."""

    is_connected = False
    _socket: socket.socket | None = None

    def connected(self, event: evt.Event) -> None:  # noqa: ARG002
        self.is_connected = True
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def acknowledge(self) -> None:
        """Acknowledge what has arrived; Linux would wait up to 40 ms for something to send with it.

        A receiver that sends its answer in two packets without TCP_NODELAY, as DCMTK and Orthanc do, waits for that.
        """
        if self._socket is not None and hasattr(socket, "TCP_QUICKACK"):
            # The peer may have closed it in this very moment; the queue tells of that a little later.
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def close(self) -> None:
        """pynetdicom leaves the socket of a refused connection to the garbage collector."""
        if self._socket is not None:
            self._socket.close()

    def _create_socket(self, *arguments: Any) -> AssociationSocket:
        transport = super()._create_socket(*arguments)
        self._socket = transport.socket
        return transport

    def await_message(self, association: Association, timeout_s: float | None = None) -> Any:
        """The next message, or None when the timeout passed (that of DIMSE, where none is given)."""
        end = time.monotonic() + (self.dimse_timeout or 0 if timeout_s is None else timeout_s)
        while time.monotonic() < end:
            try:
                return association.dimse.msg_queue.get(timeout=ACKNOWLEDGE_S)[1]
            except queue.Empty:
                self.acknowledge()
        return None
