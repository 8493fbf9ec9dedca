import pytest

from services.delivery.verdicts import Verdict, judge_dimse, judge_http


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.STORED),
        (0x0111, Verdict.STORED),
        (0xB000, Verdict.STORED),
        (0xB007, Verdict.STORED),
        (0xA700, Verdict.RETRY),
        (0xA7FF, Verdict.RETRY),
        (0xA900, Verdict.REJECT),
        (0xC000, Verdict.REJECT),
        (0xCFFF, Verdict.REJECT),
        (0x0110, Verdict.RETRY),
        (0x0117, Verdict.REJECT),
        (0x0122, Verdict.REJECT),
        (0x0124, Verdict.RETRY),
        (0xFE00, Verdict.RETRY),
        (0x1234, Verdict.RETRY),
        (None, Verdict.RETRY),
    ],
)
def test_dimse_status_has_one_verdict_and_is_named(status: int | None, verdict: Verdict) -> None:
    judged, reason = judge_dimse(status)

    assert judged is verdict
    if status:
        assert f"0x{status:04X}" in reason


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.STORED),
        (202, Verdict.STORED),
        (400, Verdict.REJECT),
        (401, Verdict.RETRY),
        (403, Verdict.RETRY),
        (404, Verdict.REJECT),
        (408, Verdict.RETRY),
        (415, Verdict.REJECT),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (507, Verdict.RETRY),
    ],
)
def test_http_status_has_one_verdict_and_is_named(status: int, verdict: Verdict) -> None:
    judged, reason = judge_http(status)

    assert judged is verdict
    assert judged is Verdict.STORED or str(status) in reason
