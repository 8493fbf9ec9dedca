"""A storage SCP that answers as told, for what no well-behaved receiver does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pynetdicom import AE, evt
from pynetdicom.events import Event

Answer = Callable[[Event], int]


@dataclass
class ScriptedSCP:
    """Where it listens, and what it was sent: (SOP Instance UID, transfer syntax, data set bytes)."""

    port: int
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    associations: int = 0


@contextmanager
def run_scripted(
    contexts: list[tuple[str, str]], answer: Answer, *, ae_title: str = "SCRIPTED"
) -> Iterator[ScriptedSCP]:
    """Accept the given (SOP class, transfer syntax) pairs, and give each C-STORE the status `answer` returns."""
    ae = AE(ae_title=ae_title)
    ae.require_called_aet = True
    for sop_class, syntax in contexts:
        ae.add_supported_context(sop_class, syntax)
    scp = ScriptedSCP(0)

    def accept(event: Event) -> None:
        scp.associations += 1

    def store(event: Event) -> int:
        data = event.request.DataSet.getvalue()
        scp.received.append((event.request.AffectedSOPInstanceUID, event.context.transfer_syntax, data))
        return answer(event)

    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_ACCEPTED, accept)]
    )
    scp.port = server.server_address[1]
    try:
        yield scp
    finally:
        server.shutdown()
