"""The notify stage: one answer told to one receiver, tried until it took it or parked with the reason.

Sending twice is harmless: the message carries the same identifier each time.
"""

from collections.abc import Callable

from services.context import Context, system_clock
from services.errors import Reject, Retry
from services.ledger import notifications
from services.ledger.jobs import Stage
from services.notification_settings import Notification
from services.notifications import mail, oru, webhook
from services.notifications.announcement import Announcement, announce, announce_test
from services.settings import Settings

Send = Callable[[Announcement, Notification], str]

_SEND: dict[str, Send] = {"webhook": webhook.send, "email": mail.send, "hl7": oru.send}


def stage(settings: Settings) -> Stage:
    return Stage("notify", run, give_up, attempts=settings.worker.delivery_attempts)


def run(context: Context, notification_id: int) -> None:
    """Send a pending notification; nothing to do for one delivered, parked or cancelled.

    Raises:
        Retry: the receiver did not take it this time.
        Reject: it never will.
    """
    with context.pool.connection() as connection:
        facts = notifications.take(connection, notification_id)
    if facts is None:
        return
    receiver = find_receiver(context.settings, facts.destination)
    try:
        note = _SEND[receiver.kind](announce(facts, receiver), receiver)
    except (Retry, Reject) as error:
        sentence = f"{where(receiver)}: {error}."
        with context.pool.connection() as connection:
            notifications.refused(connection, notification_id, sentence)
        raise type(error)(sentence) from error
    with context.pool.connection() as connection:
        notifications.delivered(connection, notification_id, note)


def give_up(context: Context, notification_id: int, reason: str) -> None:
    with context.pool.connection() as connection:
        notifications.park(connection, notification_id, reason)


def send_test(settings: Settings, name: str) -> str:
    """Tell a receiver that this is a test; what it remarked, if anything.

    Raises:
        Reject: no receiver has this name, or it refuses.
        Retry: it did not take it.
    """
    receiver = find_receiver(settings, name)
    try:
        return _SEND[receiver.kind](announce_test(receiver, system_clock()), receiver)
    except (Retry, Reject) as error:
        raise type(error)(f"{where(receiver)}: {error}.") from error


def find_receiver(settings: Settings, name: str) -> Notification:
    for receiver in settings.notifications:
        if receiver.name == name:
            return receiver
    raise Reject(f"notifications: none is called {name} any more; add it again.")


def where(receiver: Notification) -> str:
    """The receiver and what its setting says, for whoever has to mend it; no secret."""
    address = (
        f"url = {receiver.url}" if receiver.kind == "webhook" else f"host = {receiver.host}, port = {receiver.port}"
    )
    return f"Notification {receiver.name} ({address})"
