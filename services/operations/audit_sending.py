"""The audit trail to a site's own repository: syslog over TLS or TCP, in messages of DICOM (PS3.15 A.5 to A.7).

Syslog has no receipts. A row counts as sent when its bytes were handed to a connection that the other side had not
closed; what is on its way when a connection breaks may be lost or, after a crash of ours, come twice.
"""

import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from services.audit_settings import AuditRepository
from services.context import Context
from services.ledger import audit_sending
from services.operations.audit_messages import syslog_line

AT_ONCE = 200
POLL_S, AWAY_S, TIMEOUT_S = 1.0, 5.0, 10.0

_log = logging.getLogger(__name__)


@contextmanager
def sending_audit(context: Context) -> Iterator[None]:
    """Send rows as long as this lasts, if the settings name a repository; without one, none are kept for it."""
    repository = context.settings.audit_repository
    with context.pool.connection() as connection:
        if repository is None:
            audit_sending.end(connection)
        else:
            audit_sending.begin(connection)
    if repository is None:
        yield
        return
    sender = AuditSender(context, repository)
    sender.start()
    try:
        yield
    finally:
        sender.stop()


class AuditSender:
    """Sends what waits, again and again, in a thread of its own."""

    def __init__(self, context: Context, repository: AuditRepository) -> None:
        self._context, self._repository = context, repository
        self._source = context.settings.router.ae_title
        self._connection: socket.socket | None = None
        self._stopping = threading.Event()
        self._away = False
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return once what is in hand is sent or given back."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait_s = POLL_S
            try:
                if self.send():
                    wait_s = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows wait and the next try may go well
                wait_s = AWAY_S
                if not self._away:
                    _log.warning("The audit record repository cannot be reached (%s); rows wait.", type(error).__name__)
                self._away = True
            self._stopping.wait(wait_s)
        self._hang_up()

    def send(self) -> bool:
        """Send the oldest rows that wait; whether there were any.

        Raises:
            OSError, psycopg.Error: the repository or the ledger does not answer; no row is taken for sent.
        """
        with self._context.pool.connection() as connection:
            entries = audit_sending.take(connection, AT_ONCE)
            if entries:
                self._hand_over([syslog_line(entry, self._source) for entry in entries])
        if entries and self._away:
            self._away = False
            _log.info("The audit record repository takes rows again.")
        return bool(entries)

    def _hand_over(self, lines: Sequence[bytes]) -> None:
        # Each message with its length before it (RFC 5425 4.3; RFC 6587 3.4.1 over TCP).
        content = b"".join(b"%d %b" % (len(line), line) for line in lines)
        try:
            if self._connection is None or _was_closed(self._connection):
                self._hang_up()
                self._connection = self._connect()
            self._connection.sendall(content)
        except OSError:
            self._hang_up()
            raise

    def _connect(self) -> socket.socket:
        repository = self._repository
        plain = socket.create_connection((repository.host, repository.port), timeout=TIMEOUT_S)
        if not repository.tls:
            return plain
        trusted = ssl.create_default_context()
        if repository.certificate is not None:
            trusted.load_cert_chain(repository.certificate, repository.key)
        try:
            return trusted.wrap_socket(plain, server_hostname=repository.host)
        except OSError:
            plain.close()
            raise

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _was_closed(connection: socket.socket) -> bool:
    """Whether the other side ended it. Over TLS 1.3 tickets come unasked, so only a read tells."""
    connection.setblocking(False)
    try:
        return connection.recv(4096) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(TIMEOUT_S)
