"""The audit trail at a repository that is not ours: rsyslog over TLS and TCP, away and back again."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from support.certificates import certify
from support.ports import free_ports
from support.rsyslog import messages, run_rsyslog
from support.triage import flag_study

from services.audit_settings import AuditRepository
from services.context import Context
from services.ledger import audit_sending
from services.ledger.audit import Entry, record_audit
from services.operations.audit_messages import audit_message
from services.operations.audit_sending import AuditSender, sending_audit
from services.operations.metrics import LedgerCollector

_AT = datetime(2026, 11, 23, 2, 15, tzinfo=UTC)


def wait_for(holds: Callable[[], bool], patience_s: float = 30) -> None:
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def naming(context: Context, port: int, **values: object) -> Context:
    repository = AuditRepository.model_validate({"host": "127.0.0.1", "port": port, "tls": False, **values})
    return replace(context, settings=context.settings.model_copy(update={"audit_repository": repository}))


def sender_to(context: Context, port: int, **values: object) -> AuditSender:
    repository = naming(context, port, **values).settings.audit_repository
    assert repository is not None
    with context.pool.connection() as connection:
        audit_sending.begin(connection)
    return AuditSender(context, repository)


def unsent(context: Context) -> int:
    with context.pool.connection() as connection:
        return audit_sending.read_unsent(connection)[0]


def act(context: Context, action: str, **values: str | None) -> None:
    with context.pool.connection() as connection:
        record_audit(connection, action, **{"account": "ana", "address": "10.0.0.9", **values})  # type: ignore[arg-type]


def read(line: str) -> ElementTree.Element:
    """The message of one line of syslog."""
    head, _, xml = line.partition("\ufeff")
    assert head.startswith("<85>1 2")
    assert " DICOM+RFC3881 - " in head
    return ElementTree.fromstring(xml)


def code(message: ElementTree.Element, path: str) -> tuple[str | None, str | None]:
    found = message.find(path)
    assert found is not None
    return found.get("csd-code"), found.get("codeSystemName")


@pytest.mark.parametrize("over_tls", [True, False])
def test_a_look_arrives_as_dicoms_message(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over_tls: bool
) -> None:
    study_uid, _ = flag_study(context, 1, {"SDH": 31.2})
    act(context, "view", study_uid=study_uid)  # before a repository was named
    certificate = certify(tmp_path, "repository")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with run_rsyslog(tmp_path, tls=certificate if over_tls else None) as port:
        site = naming(context, port, tls=over_tls)
        with sending_audit(site):
            act(site, "sign-in", account=None, outcome="failure")
            act(site, "view", study_uid=study_uid)
            act(site, "claim", study_uid=study_uid)
            act(site, "worklist")
            wait_for(lambda: len(messages(tmp_path)) == 4)
    failed, look, change, listed = map(read, messages(tmp_path))
    assert code(failed, "EventIdentification/EventID") == ("110114", "DCM")
    assert failed.find("EventIdentification").get("EventOutcomeIndicator") == "8"  # type: ignore[union-attr]
    assert code(look, "EventIdentification/EventID") == ("110103", "DCM")
    assert code(look, "EventIdentification/EventTypeCode") == ("view", "99NIGHTJAR")
    event = [each.find("EventIdentification") for each in (look, change, listed)]
    assert [each.get("EventActionCode") for each in event if each is not None] == ["R", "U", "E"]
    who = look.find("ActiveParticipant[@UserIsRequestor='true']")
    assert who is not None
    assert (who.get("UserID"), who.get("NetworkAccessPointID")) == ("ana", "10.0.0.9")
    objects = {each.get("ParticipantObjectID") for each in look.iter("ParticipantObjectIdentification")}
    assert objects == {study_uid, "P00001"}
    assert "EXAMPLE" not in "".join(messages(tmp_path))
    assert unsent(context) == 0


def test_rows_wait_for_a_repository_that_is_away_and_come_once(context: Context, tmp_path: Path) -> None:
    [port] = free_ports(1)
    site = naming(context, port)
    with sending_audit(site):
        for number in range(5):
            act(site, f"look-{number}")
        wait_for(lambda: unsent(site) == 5)
    with run_rsyslog(tmp_path, port=port), sending_audit(site):
        wait_for(lambda: unsent(site) == 0)
        wait_for(lambda: len(messages(tmp_path)) == 5)
    assert [code(read(line), "EventIdentification/EventTypeCode")[0] for line in messages(tmp_path)] == [
        f"look-{number}" for number in range(5)
    ]


def test_a_connection_that_the_repository_ended_is_made_anew(context: Context, tmp_path: Path) -> None:
    [port] = free_ports(1)
    sender = sender_to(context, port)
    with run_rsyslog(tmp_path, port=port):
        act(context, "first")
        assert sender.send()
        wait_for(lambda: len(messages(tmp_path)) == 1)
    with run_rsyslog(tmp_path, port=port):
        act(context, "second")
        assert sender.send()
        wait_for(lambda: len(messages(tmp_path)) == 2)
    act(context, "third")
    with pytest.raises(OSError, match="refused"):
        sender.send()
    assert unsent(context) == 1


def test_an_authority_that_is_not_trusted_gets_nothing(context: Context, tmp_path: Path) -> None:
    with run_rsyslog(tmp_path, tls=certify(tmp_path, "repository")) as port:
        sender = sender_to(context, port, tls=True)
        act(context, "view")
        with pytest.raises(OSError, match="certificate verify failed"):
            sender.send()
        assert unsent(context) == 1
        assert messages(tmp_path) == []


def test_transactions_that_end_in_another_order_lose_no_row(context: Context, tmp_path: Path) -> None:
    with context.pool.connection() as connection:
        audit_sending.begin(connection)
    begun, sent = Barrier(2), Barrier(2)

    def slow() -> None:
        with context.pool.connection() as connection:
            record_audit(connection, "slow", account="ana", address=None)  # has the lower id
            begun.wait(timeout=30)
            sent.wait(timeout=30)

    thread = Thread(target=slow)
    thread.start()
    begun.wait(timeout=30)
    act(context, "quick")
    with run_rsyslog(tmp_path) as port:
        sender = sender_to(context, port)
        assert sender.send()
        sent.wait(timeout=30)
        thread.join()
        assert sender.send()
        wait_for(lambda: len(messages(tmp_path)) == 2)
    assert ["slow" in line for line in messages(tmp_path)] == [False, True]


def test_what_waits_is_a_figure_where_a_repository_is_named(context: Context) -> None:
    with context.pool.connection() as connection:
        audit_sending.begin(connection)
    act(context, "view")
    registry = CollectorRegistry()
    registry.register(LedgerCollector(naming(context, 1), ()))
    assert registry.get_sample_value("nightjar_audit_unsent") == 1
    oldest_s = registry.get_sample_value("nightjar_audit_oldest_seconds")
    assert oldest_s is not None
    assert oldest_s > 0
    assert all(not family.name.startswith("nightjar_audit") for family in LedgerCollector(context, ()).collect())


def test_without_a_repository_nothing_is_kept_for_one(context: Context) -> None:
    with context.pool.connection() as connection:
        audit_sending.begin(connection)
    act(context, "view")
    assert unsent(context) == 1
    with sending_audit(context):
        act(context, "view")
        assert unsent(context) == 0


@given(st.text(max_size=64), st.text(max_size=64))
def test_whatever_a_header_says_the_message_is_xml(patient_id: str, account: str) -> None:
    entry = Entry(1, _AT, account, "view", "success", "10.0.0.9", "1.2.3", "k", patient_id, "EXAMPLE^PAT")
    written = audit_message(entry, "NIGHTJAR")
    assert b"\n" not in written
    message = ElementTree.fromstring(written)
    assert len(list(message.iter("ParticipantObjectIdentification"))) == (2 if patient_id else 1)


@pytest.mark.parametrize(
    "values", [{"certificate": "c.pem"}, {"certificate": "c", "key": "k", "tls": False}, {"port": 0}]
)
def test_settings_that_cannot_work_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AuditRepository.model_validate({"host": "arr.example", **values})
