"""E-mail by SMTP (RFC 5321). Nothing of the patient stands in a header."""

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

from services.errors import Reject, Retry
from services.languages import find_language, languages, speaking
from services.notification_settings import Notification
from services.notifications.announcement import Announcement
from services.notifications.words import headline, lines


def compose(announcement: Announcement, receiver: Notification) -> EmailMessage:
    """The mail; its Message-ID is the announcement's, so that a mail program shows a repetition once."""
    message = EmailMessage()
    sender = receiver.sender or ""
    with speaking(find_language(receiver.language) or languages()["en"]):
        message["Subject"] = f"Nightjar: {headline(announcement)}"
        message.set_content("\n".join(lines(announcement)) + "\n")
    message["From"] = sender
    message["To"] = ", ".join(receiver.recipients)
    message["Date"] = format_datetime(announcement.analysed_at)
    message["Message-ID"] = f"<{announcement.id}@{sender.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if announcement.urgency == 1:
        message["Importance"] = "high"
    return message


def send(announcement: Announcement, receiver: Notification) -> str:
    """Hand it to the mail server; says whom the server refused, by number.

    Raises:
        Retry: the server did not take it this time.
        Reject: it refuses it for good.
    """
    message = compose(announcement, receiver)
    try:
        with _connect(receiver) as server:
            refused = server.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        raise Retry(f"it refuses our login (SMTP {error.smtp_code}); see username and password") from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        said = f"it refuses every recipient (SMTP {', '.join(map(str, codes))})"
        raise (Retry if any(code < 500 for code in codes) else Reject)(said) from error
    except smtplib.SMTPResponseException as error:
        said = f"it could not take the mail (SMTP {error.smtp_code})"
        raise (Reject if 500 <= error.smtp_code < 600 else Retry)(said) from error
    except smtplib.SMTPNotSupportedError as error:
        raise Reject("it does not offer what tls and username ask for") from error
    except ssl.SSLError as error:
        raise Retry(f"no protected connection could be made ({type(error).__name__}); see tls") from error
    except TimeoutError as error:
        raise Retry(f"it did not answer within {receiver.timeout_s:g} s") from error
    except (smtplib.SMTPException, OSError, socket.gaierror) as error:
        raise Retry(f"nothing answers there ({type(error).__name__})") from error
    count = len(receiver.recipients)
    return f"it refuses {len(refused)} of {count} recipients" if refused else ""


def _connect(receiver: Notification) -> smtplib.SMTP:
    host, port, trusted = receiver.host or "", receiver.port or 0, ssl.create_default_context()
    server: smtplib.SMTP
    if receiver.tls == "tls":
        server = smtplib.SMTP_SSL(host, port, timeout=receiver.timeout_s, context=trusted)
    else:
        server = smtplib.SMTP(host, port, timeout=receiver.timeout_s)
    try:
        if receiver.tls == "starttls":
            server.starttls(context=trusted)
        if receiver.username is not None:
            server.login(receiver.username, receiver.password or "")
    except BaseException:
        server.close()
        raise
    return server
