"""Which language is spoken, and what dates, numbers and recorded sentences become in it."""

from datetime import UTC, date, datetime

import pytest
from jinja2 import Environment

from services.languages import current, find_language, gettext, languages, ngettext, speaking
from services.languages.catalogues import negotiate
from services.languages.formats import format_clock, format_day, format_number
from services.languages.recorded import say_again
from services.languages.templates import install

CHINESE = languages()["zh-CN"]


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9,zh-CN;q=0.8", "en"),
        ("de-DE,de;q=0.9,zh;q=0.5,en;q=0.4", "zh-CN"),
        ("fr", "en"),
        ("zh-Hans-CN", "zh-CN"),
        ("zh-TW", "en"),
        ("zh-CN;q=0, en", "en"),
        ("zh-CN;q=lots, *;q=0.1", "en"),
        (",;q=,;;", "en"),
    ],
)
def test_a_browser_is_answered_in_the_language_it_likes_best(accepted: str, tag: str) -> None:
    assert negotiate(accepted).tag == tag


def test_messages_are_said_in_the_language_of_the_moment_and_then_in_english_again() -> None:
    with speaking(CHINESE):
        assert gettext("Worklist") == "工作列表"
        assert gettext("Claimed by %(name)s", name="ana") == "由 ana 认领"
        assert ngettext("%(num)s study is on the list.", "%(num)s studies are on the list.", 3) == "列表中有 3 例检查。"
    assert current().tag == "en"
    assert ngettext("%(num)s day", "%(num)s days", 1) == "1 day"
    assert gettext("never marked 100 %%") == "never marked 100 %"


def test_dates_and_numbers() -> None:
    at = datetime(2026, 11, 21, 3, 5, 9, tzinfo=UTC)
    assert (format_clock(at), format_number(1234.56, 1)) == ("2026-11-21 03:05:09 UTC", "1,234.6")
    with speaking(CHINESE):
        assert format_day(date(2026, 11, 21)) == "2026年11月21日"
        assert (format_clock(at), format_number(0.5, 1)) == ("2026年11月21日 03:05:09 UTC", "0.5")


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "32 instances: 32 slice positions without a gap; all senders are done.",
            "32 个实例：32 个层面位置，无间断；所有发送方均已完成。",
        ),
        (
            "The series for NCCT is incomplete: 2 slices missing at 10.0, 15.0 mm along the slice normal. "
            "Nothing more came within 60 s.",
            "用于 NCCT 的序列不完整：沿层面法线 10.0, 15.0 mm 处缺少 2 层。 60 秒内未再收到影像。",
        ),
        (
            "Destination pacs (ae_title = PACS, host = x, port = 104): nothing answers there. Given up after 12 tries.",
            "目的地 pacs（ae_title = PACS, host = x, port = 104）：该处没有应答。 尝试 12 次后放弃。",
        ),
        (
            "The readers differ. IPH: Dice 0.00 < 0.7. STAPLE coincides with the majority by only Dice 0.31 for label "
            "1; it is not offered.",
            "标注者结果不一致。IPH: Dice 0.00 < 0.7。 标签 1 的 STAPLE 与多数表决的 Dice 仅为 0.31，因此不提供。",
        ),
        ("Image quality 2 (Poor), below 3: motion and metal.", "图像质量 2（较差），低于 3：运动和金属伪影。"),
        ("This workitem is in review; nobody draws on it now.", "此任务审核中；目前无人可在其上勾画。"),
        ("Something nobody translated.", "Something nobody translated."),
    ],
)
def test_recorded_sentences_are_said_again(sentence: str, said: str) -> None:
    assert say_again(sentence) == sentence
    with speaking(CHINESE):
        assert say_again(sentence) == said


def test_values_are_escaped_in_templates_whatever_the_language() -> None:
    environment = Environment(autoescape=True)
    install(environment)
    page = environment.from_string(
        '{{ _("Claimed by %(name)s", name=name) }} {{ name | translated }} {{ name | recorded }}'
    )
    for language in (languages()["en"], CHINESE):
        with speaking(language):
            assert "<script>" not in page.render(name="<script>alert(1)</script>")
            assert "100 %" in page.render(name="100 %(x)s %")


def test_a_text_without_translation_is_told_apart() -> None:
    environment = Environment(autoescape=True)
    install(environment)
    page = environment.from_string("{{ text is foreign }}")
    assert page.render(text="Nobody knows") == "False"
    with speaking(CHINESE):
        assert (page.render(text="Nobody knows"), page.render(text="Worklist")) == ("True", "False")


def test_only_known_languages_are_found() -> None:
    assert find_language("zh-CN") is CHINESE
    assert find_language("zh") is None
    assert find_language(None) is None
