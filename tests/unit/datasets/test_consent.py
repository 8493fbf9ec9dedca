"""Who may be released: lists of consents, and what headers say."""

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from services.datasets.release.consent import MISSING, ON_HOLD, WITHDRAWN, why_headers_refuse, why_not_released
from services.datasets.release.lists import read_list
from services.errors import SettingsError
from services.ledger.consent import Consent, ConsentEntry, Standing

NOTHING = Standing(granted=False, withdrawn=False, on_hold=False)
GRANTED = Standing(granted=True, withdrawn=False, on_hold=False)


def flagged(*flags: str) -> list[Dataset]:
    datasets = []
    for flag in flags:
        item = Dataset()
        item.ConsentForDistributionFlag = flag
        datasets.append(Dataset())
        if flag:
            datasets[-1].ConsentForClinicalTrialUseSequence = [item]
    return datasets


def test_a_hold_and_a_withdrawal_count_before_consent() -> None:
    assert why_not_released(Standing(granted=True, withdrawn=True, on_hold=True)) == ON_HOLD
    assert why_not_released(Standing(granted=True, withdrawn=True, on_hold=False)) == WITHDRAWN
    assert why_not_released(GRANTED) is None


@pytest.mark.parametrize(
    ("flags", "standing", "reason"),
    [
        (("", ""), NOTHING, MISSING),
        (("YES", ""), NOTHING, MISSING),
        (("YES", "YES"), NOTHING, None),
        (("", ""), GRANTED, None),
        (("YES", "NO"), GRANTED, "Its headers say NO of consent to distribution."),
        (("WITHDRAWN",), GRANTED, "Its headers say WITHDRAWN of consent to distribution."),
        (("JANE DOE",), GRANTED, "Its headers say UNKNOWN of consent to distribution."),
    ],
)
def test_headers_refuse_or_stand_for_consent(flags: tuple[str, ...], standing: Standing, reason: str | None) -> None:
    assert why_headers_refuse(flagged(*flags), standing) == reason


def test_a_list_is_read_and_each_mistake_named(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("patient_id,study_uid,decision,basis\n4711,,granted,form 7\n,1.2.3,HOLD,\n", encoding="utf-8")
    assert read_list(file, "ethics vote") == [
        ConsentEntry(Consent.GRANTED, "form 7", patient_id="4711"),
        ConsentEntry(Consent.HOLD, "ethics vote", study_uid="1.2.3"),
    ]
    file.write_text("patient_id,decision\n4711,granted\n,granted\n4712,perhaps\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        read_list(file, None)
    assert [line.partition("line ")[2] for line in str(refused.value).splitlines()] == [
        "2: say what the decision rests on: a column basis, or --basis.",
        "3: name either a patient or a study.",
        "4: a decision is granted, withdrawn, hold, lifted.",
    ]
    assert "4711" not in str(refused.value)
    file.write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="It needs decision and patient_id or study_uid"):
        read_list(file, None)
