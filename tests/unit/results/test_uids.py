from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from models.prediction import ModelIdentity
from services.results.uids import ResultUIDs, derive_uid, device_uid

MODEL = ModelIdentity("ich", "0.1.0", "ab" * 32)


def _all(uids: ResultUIDs) -> list[str]:
    return [
        uids.segmentation_instance(),
        uids.segmentation_series(),
        uids.dimension_organization(),
        uids.report_instance(),
        uids.report_series(),
        uids.tracking("IPH"),
        uids.tracking("SDH"),
    ]


def test_a_retry_repeats_itself() -> None:
    assert _all(ResultUIDs("12" * 32, MODEL)) == _all(ResultUIDs("12" * 32, MODEL))


def test_every_role_input_and_model_has_its_own() -> None:
    answers = [
        ResultUIDs("12" * 32, MODEL),
        ResultUIDs("13" * 32, MODEL),
        ResultUIDs("12" * 32, ModelIdentity("ais", MODEL.version, MODEL.weights_digest)),
        ResultUIDs("12" * 32, ModelIdentity(MODEL.name, "0.2.0", MODEL.weights_digest)),
        ResultUIDs("12" * 32, ModelIdentity(MODEL.name, MODEL.version, "cd" * 32)),
    ]

    uids = [uid for answer in answers for uid in _all(answer)]

    assert len(set(uids)) == len(uids)
    assert device_uid(MODEL) not in uids


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_uid_is_a_uuid_under_2_25(parts: list[str]) -> None:
    uid = derive_uid("role", *parts)

    assert uid.startswith("2.25.")
    assert len(uid) <= 64
    uuid = UUID(int=int(uid.removeprefix("2.25.")))
    assert uuid.version == 8
    assert str(uuid.variant) == "specified in RFC 4122"


@given(st.text(max_size=4), st.text(max_size=4))
def test_the_border_between_parts_counts(first: str, second: str) -> None:
    assert derive_uid("role", first + second, "") != derive_uid("role", first, second) or second == ""
