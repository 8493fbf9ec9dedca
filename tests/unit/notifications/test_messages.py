"""What a message says: no more of the patient than its receiver may have, and nothing that breaks out of its place."""

import json
import uuid
from datetime import UTC, datetime

import pytest
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.prediction import Urgency
from services.ledger.notifications import NotificationFacts
from services.notification_settings import Notification
from services.notifications import mail, oru, webhook
from services.notifications.announcement import announce, announce_test

NOW = datetime(2026, 11, 21, 2, 15, 43, tzinfo=UTC)
NAME = "CANARY^LIN"
SECRET = "a secret of some length"
HOOK = Notification(name="hook", kind="webhook", url="https://hook.example", secret=SECRET)
RIS = Notification(name="ris", kind="hl7", host="ris", port=2575, include=("accession_number", "patient_id"))
MAIL = Notification(
    name="mail", kind="email", host="m", port=25, sender="n@x.example", recipients=("a@x.example",), tls="none"
)


def facts(**changes: object) -> NotificationFacts:
    values = {
        "destination": "x",
        "answer": "digest ich 0.3.0",
        "model": "ich",
        "model_version": "0.3.0",
        "urgency": 1,
        "findings": (("IPH", 23.44, 1), ("IVH", 0.5, 1)),
        "analysed_at": NOW,
        "study_key": "0b4e",
        "study_uid": "1.2.3",
        "patient_id": "CANARY-1",
        "patient_name": NAME,
        "accession_number": "CANARY-2",
    }
    return NotificationFacts(**{**values, **changes})  # type: ignore[arg-type]


def test_without_include_nothing_of_the_patient_is_said() -> None:
    body = webhook.body_of(announce(facts(), HOOK)).decode()
    message = mail.compose(announce(facts(), MAIL), MAIL).as_string()

    assert "CANARY" not in body + message
    assert "1.2.3" not in body + message
    assert [f["label"] for f in json.loads(body)["findings"]] == ["IPH", "IVH"]
    assert "Suspected IPH 23.4 mL" in message
    assert "Not for diagnosis" in body
    assert "Not for diagnosis" in message


def test_what_is_included_stands_in_the_body_and_in_no_header() -> None:
    receiver = MAIL.model_copy(update={"include": ("patient_id", "patient_name"), "page_url": "https://n.example/"})
    message = mail.compose(announce(facts(), receiver), receiver)

    assert "CANARY-1" in message.get_content()
    assert "https://n.example/studies/0b4e" in message.get_content()
    assert all("CANARY" not in value for value in message.values())
    assert message["Subject"] == "Nightjar: Immediate: suspected IPH, IVH"


def test_mail_is_written_in_the_receivers_language() -> None:
    receiver = MAIL.model_copy(update={"language": "zh-CN"})
    message = mail.compose(announce(facts(), receiver), receiver)

    assert message["Subject"] == "Nightjar: 立即：疑似 IPH, IVH"
    assert "不作为诊断依据" in message.get_content()


def test_the_same_answer_has_the_same_identifier_and_another_receiver_another() -> None:
    first, again = announce(facts(), HOOK), announce(facts(), HOOK)
    assert first.id == again.id
    assert len({first.id, announce(facts(), RIS).id, announce(facts(answer="other"), HOOK).id}) == 3
    assert oru.control_id(first) == oru.control_id(again)


def test_a_message_for_the_ris_is_valid_and_preliminary() -> None:
    message = parse_message(oru.compose(announce(facts(), RIS), RIS, NOW))
    message.validate()

    order = message.oru_r01_patient_result.oru_r01_order_observation
    assert (order.obr.obr_3.value, order.obr.obr_25.value) == ("CANARY-2", "P")
    assert order.oru_r01_timing_qty.tq1.tq1_9.value == "S"
    assert NAME.partition("^")[0] not in str(message.oru_r01_patient_result.oru_r01_patient.pid.pid_5.value)
    observations = [group.obx for group in order.oru_r01_observation]
    assert [(obx.obx_3.obx_3_1.value, obx.obx_5.value) for obx in observations[:2]] == [("IPH", "23.4"), ("IVH", "0.5")]
    assert {obx.obx_11.value for obx in observations} == {"P"}


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_no_text_breaks_out_of_its_field(name: str, patient_id: str, accession: str) -> None:
    """Delimiters, escapes, carriage returns: a name never becomes a segment, and reads back as it was."""
    receiver = RIS.model_copy(update={"include": ("accession_number", "patient_id", "patient_name", "study_uid")})
    told = announce(facts(patient_name=name, patient_id=patient_id, accession_number=accession), receiver)
    text = oru.compose(told, receiver, NOW)

    segments = [segment.split("|") for segment in text.split("\r")]
    assert [segment[0] for segment in segments] == ["MSH", "PID", "OBR", "TQ1", "OBX", "OBX", "OBX", "OBX", "OBX"]
    assert read(segments[1][3]) == visible(patient_id)
    assert read(segments[2][3]) == visible(accession)
    family = segments[1][5].split("^")[0]
    assert read(family) == visible(name.partition("=")[0].split("^")[0])


def read(field: str) -> str:
    """A field without components, its escapes undone (HL7 v2.5.1, 2.7)."""
    for letter, sign in (("F", "|"), ("S", "^"), ("T", "&"), ("R", "~")):
        field = field.replace(f"\\{letter}\\", "\0" + sign)
    assert not any(sign in field.replace("\0" + sign, "") for sign in "|^&~")
    return field.replace("\0", "").replace("\\E\\", "\\")


def visible(text: str) -> str:
    return oru._CONTROL.sub(" ", text).strip()


def test_a_test_message_says_so() -> None:
    assert json.loads(webhook.body_of(announce_test(HOOK, NOW)))["event"] == "test"
    assert "Test notification" in mail.compose(announce_test(MAIL, NOW), MAIL)["Subject"]
    message = parse_message(oru.compose(announce_test(RIS, NOW), RIS, NOW))
    message.validate()
    assert message.msh.msh_11.value == "T"


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ({}, True),
        ({"urgency": "immediate"}, False),
        ({"findings": ("SDH",)}, True),
        ({"findings": ("IPH",)}, False),
        ({"models": ("ais",)}, False),
        ({"models": ("ich",), "urgency": "standard"}, True),
    ],
)
def test_rules_choose_by_urgency_label_and_model(rule: dict[str, object], wanted: bool) -> None:
    receiver = Notification.model_validate(HOOK.model_dump(mode="json") | rule)
    assert receiver.wants("ich", {"SDH": int(Urgency.URGENT)}) is wanted
    assert not receiver.wants("ich", {}), "an answer without a flag is told to nobody"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "webhook", "url": "https://x"}, "needs secret"),
        ({"kind": "webhook", "url": "https://x", "secret": "short"}, "at least 16"),
        ({"kind": "webhook", "url": "ftp://x", "secret": SECRET}, "begins with https://"),
        ({"kind": "webhook", "url": "https://x", "secret": SECRET, "host": "y"}, "has no host"),
        ({"kind": "hl7", "host": "x", "port": 1}, "include accession_number and patient_id"),
        ({"kind": "email", "host": "x", "port": 1, "sender": "a@b"}, "needs recipients"),
        ({"kind": "email", "host": "x", "port": 1, "sender": "a@b\nBcc: c@d", "recipients": ["a@b"]}, "pattern"),
        (
            {"kind": "email", "host": "x", "port": 1, "sender": "a@b", "recipients": ["a@b"], "tls": "none",
             "username": "u", "password": "p"},
            "a password needs tls",
        ),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(entry: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Notification.model_validate({"name": "x", **entry})


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(HOOK)
    assert uuid.UUID(str(announce(facts(), HOOK).id)).version == 5
