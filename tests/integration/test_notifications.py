"""Notifications on a real ledger, to real receivers that take them, refuse, hang, answer nonsense or hang up."""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from email import message_from_bytes, policy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from support.jobs import drain, waiting
from support.notification_receivers import Received, acknowledgement, run_http, run_mllp, run_smtp
from support.ports import free_ports
from support.triage import add_analysis, add_study, finish_analysis, park_delivery, run_analysis
from typer.testing import CliRunner

from dicom_router.explain import explain, render
from services.cli import app
from services.context import Context
from services.errors import Reject, Retry
from services.ledger import measures, notifications
from services.ledger.retrying import retry_parked
from services.notification_settings import Notification
from services.notifications import notify
from services.operations.status import collect_status

SECRET = "a secret of some length"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")


def receiver(kind: str, port: int, **changes: Any) -> Notification:
    own: dict[str, dict[str, Any]] = {
        "webhook": {"url": f"http://127.0.0.1:{port}/x", "secret": SECRET},
        "email": {"host": "127.0.0.1", "port": port, "sender": "n@x.example", "recipients": ["a@x.example"]},
        "hl7": {"host": "127.0.0.1", "port": port, "include": ["accession_number", "patient_id"]},
    }
    tls = {"tls": "none"} if kind == "email" else {}
    return Notification.model_validate({"name": kind, "kind": kind, "timeout_s": 5, **own[kind], **tls, **changes})


def told(context: Context, *receivers: Notification) -> tuple[Context, str, list[int]]:
    """A flagged study whose answer is to be told to these receivers; the notifications' keys."""
    settings = context.settings.model_copy(update={"notifications": receivers})
    with context.pool.connection() as connection:
        study_uid = add_study(connection, 1, name="CANARY^LIN", accession="CANARY2")
        analysis = add_analysis(connection, study_uid)
        run_analysis(connection, analysis)
        finish_analysis(connection, analysis, {"IPH": 23.4}, urgency=1)
        kinds = {each.name: each.kind for each in receivers}
        notifications.plan(connection, analysis, study_uid, kinds, 1)
        notifications.plan(connection, analysis, study_uid, kinds, 1)  # an answer is told once
        rows = connection.execute("SELECT id FROM notification ORDER BY id").fetchall()
    return replace(context, settings=settings), study_uid, [row["id"] for row in rows]


def row_of(context: Context, key: int) -> dict[str, Any]:
    with context.pool.connection() as connection:
        row = connection.execute("SELECT * FROM notification WHERE id = %s", [key]).fetchone()
    assert row is not None
    return row


def test_each_kind_arrives_once_and_is_done(context: Context) -> None:
    with run_http(204) as hook, run_smtp() as post, run_mllp(acknowledgement("AA")) as ris:
        receivers = (receiver("webhook", hook.port), receiver("email", post.port), receiver("hl7", ris.port))
        site, study_uid, keys = told(context, *receivers)
        assert waiting(site, "notify") == keys
        drain(site, {"notify": notify.stage(site.settings)})
        for key in keys:
            notify.run(site, key)  # the job was repeated: there is nothing to do

    assert [row_of(site, key)["state"] for key in keys] == ["delivered"] * 3
    assert [len(each.messages) for each in (hook, post, ris)] == [1, 1, 1]
    [(recipients, mail)] = post.messages
    assert recipients == ["a@x.example"]
    assert "Suspected IPH 23.4 mL" in message_from_bytes(mail, policy=policy.default).get_content()
    assert "|CANARY2|" in ris.messages[0]
    with context.pool.connection() as connection:
        assert collect_status(site).notifications == {"delivered": 3}
        said = connection.execute("SELECT detail::text FROM event").fetchall()
    assert "CANARY" not in str(said)
    explained = explain(context.pool, study_uid)
    assert [(row["kind"], row["state"]) for row in explained.notifications] == [
        ("webhook", "delivered"),
        ("email", "delivered"),
        ("hl7", "delivered"),
    ]
    console = Console(width=200, record=True, file=StringIO())
    console.print(render(explained))
    assert "Notifications" in console.export_text()


Refusal = tuple[str, Callable[[], AbstractContextManager[Received]], type[Exception], str]
REFUSALS: dict[str, Refusal] = {
    "server error": ("webhook", lambda: run_http(500), Retry, "HTTP 500"),
    "wrong secret": ("webhook", lambda: run_http(401), Retry, "refuses our signature"),
    "gone": ("webhook", lambda: run_http(410), Reject, "HTTP 410"),
    "redirect": ("webhook", lambda: run_http(302), Reject, "name the final address"),
    "silent": ("webhook", lambda: run_http(None), Retry, "did not answer within"),
    "not now": ("hl7", lambda: run_mllp(acknowledgement("AR")), Retry, r"\(AR\)"),
    "error": ("hl7", lambda: run_mllp(acknowledgement("AE")), Reject, r"\(AE\)"),
    "another's": ("hl7", lambda: run_mllp(acknowledgement("AA", of="X")), Retry, "acknowledges another message"),
    "nonsense": ("hl7", lambda: run_mllp(lambda _: b"\x0bhello\x1c\x0d"), Retry, "no acknowledgement"),
    "unframed": ("hl7", lambda: run_mllp(lambda _: b"x" * 70000), Retry, "no acknowledgement"),
    "hangs up": ("hl7", lambda: run_mllp(lambda _: b""), Retry, "closed the connection"),
    "half-closed": ("hl7", lambda: run_mllp(lambda _: None, half_close=True), Retry, "closed the connection"),
    "hangs": ("hl7", lambda: run_mllp(lambda _: None), Retry, "did not answer within"),
    "full": ("email", lambda: run_smtp(DATA="452 CANARY has no room"), Retry, "SMTP 452"),
    "refused": ("email", lambda: run_smtp(DATA="554 CANARY is spam"), Reject, "SMTP 554"),
    "nobody": ("email", lambda: run_smtp(**{"a@x.example": "550 CANARY"}), Reject, "every recipient .SMTP 550"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_receiver_that_does_not_take_it(context: Context, case: str) -> None:
    kind, run, verdict, says = REFUSALS[case]
    with run() as unwilling:
        patience = {"timeout_s": 0.5} if "silent" in case or case == "hangs" else {}
        site, _, [key] = told(context, receiver(kind, unwilling.port, **patience))
        with pytest.raises(verdict, match=says) as raised:
            notify.run(site, key)
    row = row_of(site, key)
    assert (row["state"], row["attempts"]) == ("pending", 1)
    assert row["reason"] == str(raised.value)
    assert "CANARY" not in row["reason"] + str(raised.value)
    assert SECRET not in row["reason"]
    assert len(unwilling.messages) == (0 if case == "nobody" else 1)


@pytest.mark.parametrize("kind", ["webhook", "email", "hl7"])
def test_nobody_there_then_parked_then_sent_by_hand(context: Context, kind: str) -> None:
    [port] = free_ports(1)
    site, study_uid, [key] = told(context, receiver(kind, port))
    with pytest.raises(Retry, match="nothing answers there") as raised:
        notify.run(site, key)
    notify.give_up(site, key, str(raised.value))
    assert row_of(site, key)["state"] == "parked"
    with site.pool.connection() as connection:
        assert measures.undelivered(connection, "notification") == [{"destination": kind, "state": "parked", "n": 1}]
        happened = measures.happened(connection, "notification", 0, None)
    assert {row["outcome"]: row["n"] for row in happened} == {"retry": 1, "parked": 1}
    with site.pool.connection() as connection:
        connection.execute("DELETE FROM procrastinate_jobs")
        assert retry_parked(connection, study_uid="9.9", destination=None).total == 0
        assert retry_parked(connection, study_uid=study_uid, destination="other").total == 0
        assert retry_parked(connection, study_uid=study_uid, destination=kind).notifications == 1
        events = connection.execute("SELECT kind FROM event WHERE entity = 'notification' ORDER BY id").fetchall()
    assert [event["kind"] for event in events] == ["state", "retry", "state", "state", "retried by hand"]
    assert (row_of(site, key)["state"], waiting(site, "notify")) == ("pending", [key])


def test_some_recipients_refused_is_taken_with_a_note(context: Context) -> None:
    with run_smtp(**{"b@x.example": "550 unknown"}) as post:
        site, _, [key] = told(context, receiver("email", post.port, recipients=["a@x.example", "b@x.example"]))
        notify.run(site, key)
    assert (row_of(site, key)["state"], row_of(site, key)["reason"]) == ("delivered", "it refuses 1 of 2 recipients")


def test_mail_is_not_sent_unprotected_when_protection_is_asked_for(context: Context) -> None:
    with run_smtp() as post:
        site, _, [key] = told(context, receiver("email", post.port, tls="starttls"))
        with pytest.raises(Reject, match="does not offer"):
            notify.run(site, key)
    assert post.messages == []


def test_a_superseded_answer_is_not_told(context: Context) -> None:
    with run_http(204) as hook:
        site, _, [key] = told(context, receiver("webhook", hook.port))
        with site.pool.connection() as connection:
            connection.execute("UPDATE analysis SET state = 'superseded'")
        notify.run(site, key)
    assert row_of(site, key)["state"] == "cancelled"
    assert hook.messages == []


def test_a_receiver_that_is_gone_from_the_settings_is_named(context: Context) -> None:
    _, _, [key] = told(context, receiver("webhook", 9))
    with pytest.raises(Reject, match="notifications: none is called webhook any more"):
        notify.run(context, key)


def test_the_check_in_the_documentation_knows_genuine_from_forged_old_and_repeated(context: Context) -> None:
    code = re.search(r"```python\n(.+?)```", DOCUMENT, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    is_genuine = names["is_genuine"]
    with run_http(204) as hook:
        site, _, [key] = told(context, receiver("webhook", hook.port))
        notify.run(site, key)
    [(headers, body)] = hook.messages
    seen: set[Any] = set()
    assert is_genuine(SECRET, headers, body, seen)
    assert not is_genuine(SECRET, headers, body, seen), "recorded and sent again"
    assert not is_genuine(SECRET, headers, body, set(), now=time.time() + 301)
    assert not is_genuine("another secret, as long", headers, body, set())
    assert not is_genuine(SECRET, headers, body.replace(b'"urgency":1', b'"urgency":3'), set())
    later = {**headers, "Nightjar-Signature": headers["Nightjar-Signature"].replace("t=1", "t=2")}
    assert not is_genuine(SECRET, later, body, set())


def test_commands_try_a_receiver_and_send_again(context: Context, database_url: str, tmp_path: Path) -> None:
    with run_mllp(acknowledgement("AA")) as ris, context.pool.connection() as connection:
        study_uid = add_study(connection, 7)
        analysis = add_analysis(connection, study_uid)
        park_delivery(connection, analysis, "pacs")
        connection.commit()
        config = tmp_path / "site.yaml"
        ris_entry = receiver("hl7", ris.port, name="ris").model_dump(mode="json", exclude_unset=True)
        content = {"database": {"url": database_url}, "data_dir": str(tmp_path), "notifications": [ris_entry]}
        config.write_text(yaml.safe_dump(content))
        run = CliRunner().invoke

        sent = run(app, ["notify", "ris", "--config", str(config)])
        assert (sent.exit_code, sent.stdout) == (0, "ris took the test notification.\n")
        assert "|T|2.5.1" in ris.messages[0]
        again = run(app, ["retry", study_uid, "--config", str(config)])
        assert (again.exit_code, again.stdout) == (0, "Queued again. Results: 1. Notifications: 0.\n")
        nothing = run(app, ["retry", "--all", "--config", str(config)])
        assert (nothing.exit_code, nothing.stdout) == (1, "Nothing of that is parked.\n")
        assert run(app, ["retry", "--config", str(config)]).exit_code != 0
    assert waiting(context, "deliver") != []
