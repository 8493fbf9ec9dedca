"""Receivers of notifications on loopback ports, real and unwilling: HTTP, MLLP, SMTP."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from support.ports import free_ports

START, END = b"\x0b", b"\x1c\x0d"


@dataclass
class Received:
    """Where it listens and what came: (headers, body), HL7 text, or (recipients, mail)."""

    port: int = 0
    messages: list[Any] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def run_http(status: int | None, answer: bytes = b"") -> Iterator[Received]:
    """Answers every POST with a status and the same body; None: never answers."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.messages.append((dict(self.headers), body))
            if status is None:
                received.released.wait(20)
                return
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield received
    finally:
        received.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def run_mllp(answer: Callable[[str], bytes | None], *, half_close: bool = False) -> Iterator[Received]:
    """Reads one framed message a connection and sends what `answer` makes of it; None: holds the connection open."""
    received = Received()
    listener = socket.create_server(("127.0.0.1", 0))
    received.port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                data = b""
                while END not in data and (part := connection.recv(4096)):
                    data += part
                message = data.removeprefix(START).partition(END)[0].decode()
                if not message:
                    continue
                received.messages.append(message)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
                    received.released.wait(20)
                    continue
                said = answer(message)
                if said is None:
                    received.released.wait(20)
                else:
                    connection.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield received
    finally:
        received.released.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def acknowledgement(code: str, *, of: str | None = None) -> Callable[[str], bytes]:
    """An ACK with this code; `of` acknowledges another message. Its text quotes the patient, as some receivers do."""

    def answer(message: str) -> bytes:
        control = of or message.split("\r")[0].split("|")[9]
        text = f"MSH|^~\\&|RIS||NIGHTJAR||20261121||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{control}|no order for CANARY\r"
        return START + text.encode() + END

    return answer


class _Mailbox:
    def __init__(self, received: Received, answers: dict[str, str]) -> None:
        self._received, self._answers = received, answers

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self._answers.get(address)
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._received.messages.append((envelope.rcpt_tos, envelope.content))
        return self._answers.get("DATA", "250 OK")


@contextmanager
def run_smtp(**answers: str) -> Iterator[Received]:
    """A mail server; `answers` gives refusals by recipient, or for DATA."""
    [port] = free_ports(1)
    received = Received(port)
    controller = Controller(_Mailbox(received, answers), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield received
    finally:
        controller.stop()
