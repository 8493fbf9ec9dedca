"""TLS of the listener: version 1.2 at least (PS3.15 B, BCP 195), certificates read again when they were renewed."""

import logging
import socket
import ssl
from pathlib import Path

from services.errors import SettingsError
from services.settings import ListenerTLSSettings

HANDSHAKE_S = 15.0

_log = logging.getLogger(__name__)


class ListenerTLS:
    """Certificate, key and accepted authorities of the listener.

    Attributes:
        expires_at: when the certificate ends, seconds since 1970; 1 when it has ended already.

    Raises:
        SettingsError: a file cannot be used; the message names its setting.
    """

    def __init__(self, settings: ListenerTLSSettings) -> None:
        self._settings = settings
        self._context, self.expires_at = _load(settings)
        self._seen = self._stamps()

    def accept(self, connection: socket.socket) -> ssl.SSLSocket:
        """The server's side of a handshake; who takes too long over it is turned away.

        Raises:
            OSError: it failed; ssl.SSLError is one.
        """
        before = connection.gettimeout()
        secured = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            secured.settimeout(HANDSHAKE_S)
            secured.do_handshake()
            secured.settimeout(before)
        except BaseException:
            secured.close()
            raise
        return secured

    def refresh(self) -> None:
        """Take renewed files for the associations to come; those that cannot be used leave the old ones in place."""
        if (stamps := self._stamps()) == self._seen:
            return
        self._seen = stamps
        try:
            self._context, self.expires_at = _load(self._settings)
        except SettingsError as error:
            _log.error("The renewed certificate is not taken: %s", error)
        else:
            _log.info("The listener's certificate was read again.")

    def _stamps(self) -> tuple[int, ...]:
        files = (self._settings.certificate, self._settings.key, self._settings.client_authorities)
        return tuple(_stamp(path) for path in files if path is not None)


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # between the old and the new one
        return 0


def _load(settings: ListenerTLSSettings) -> tuple[ssl.SSLContext, float]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:
        raise SettingsError(
            f"router.tls.certificate = {settings.certificate}, router.tls.key = {settings.key}: these cannot be used "
            f"({_reason(error)}). Name a certificate and its key, both PEM."
        ) from error
    if settings.client_authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(settings.client_authorities)
        except OSError as error:
            raise SettingsError(
                f"router.tls.client_authorities = {settings.client_authorities}: these cannot be used "
                f"({_reason(error)}). Name certificates (PEM)."
            ) from error
    return context, _expires_at(settings)


def _expires_at(settings: ListenerTLSSettings) -> float:
    """The end of the certificate, as a client that trusts just it is told in a handshake within this process."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(settings.certificate, settings.key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(settings.certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True))
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return 1.0
    certificate = sides[0].getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def _reason(error: OSError) -> str:
    return error.strerror or getattr(error, "reason", None) or type(error).__name__
