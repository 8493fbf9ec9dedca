"""The pages in Chinese, in a real browser: chosen, kept with the account, accessible, and as safe as in English."""

import re
from collections.abc import Callable

import numpy as np
from playwright.sync_api import Page, expect
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.triage import (
    PASSWORD,
    ServedPages,
    add_analysis,
    add_study,
    end_study,
    flag_study,
    park_delivery,
    run_analysis,
)

from models.prediction import Finding, Urgency
from models.registry import load_card
from services.context import Context

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]

FIXED_LINE = "仅用于优先级排序，不作为诊断依据。请在 PACS 中阅读完整检查。"
HOSTILE = '王^"><img src=x onerror=alert(1)>'
ENGLISH = re.compile(r"\b(?:the|study|studies|flags?|series|you|not|slice|claim|waiting)\b", re.IGNORECASE)


def add_head(context: Context) -> None:
    """A study with images and a hostile name, flagged by today's model."""
    instances = head_instances(small_head())
    for instance in instances:
        instance.SpecificCharacterSet = "ISO_IR 192"
        instance.PatientName = HOSTILE
    study_uid, series_uid = receive(context, instances)
    labels = np.zeros((14, 128, 128), np.uint8)
    labels[8:11, 60:70, 20:30] = 3
    found = (Finding("SDH", 0.9, 31.2, Urgency.IMMEDIATE, 9),)
    analyse(context, study_uid, series_uid, labels, found, model_version=load_card("ich").version)


def is_chinese(page: Page, looks_fine: LooksFine, name: str) -> None:
    """In the language, with the fixed line, without a word of ours left in English, and accessible."""
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator(".fixed-line")).to_have_text(FIXED_LINE)
    said = page.evaluate(
        """() => {
          const copy = document.body.cloneNode(true);
          for (const own of copy.querySelectorAll("[lang=en], code, kbd, [data-part=name]")) own.remove();
          const labels = [...copy.querySelectorAll("[aria-label]")].map((each) => each.getAttribute("aria-label"));
          return [copy.innerText, ...labels].join("\\n");
        }"""
    )
    assert [line for line in said.splitlines() if ENGLISH.search(line) and "CT Head" not in line] == []
    looks_fine(page, f"zh-{name}")


def test_every_page_in_chinese(context: Context, new_page: NewPage, pages: ServedPages, looks_fine: LooksFine) -> None:
    add_head(context)
    _, analysis = flag_study(context, 2, {"SAH": 0.06}, urgency=2, name="样本^某某", minutes_ago=95)
    flag_study(context, 3, {}, urgency=3, name="PHANTOM^OLIVER", minutes_ago=12)
    with context.pool.connection() as connection:
        park_delivery(connection, analysis, "main-pacs")
        end_study(connection, add_study(connection, 4), "not_applicable", "No rule matches.")
        run_analysis(connection, add_analysis(connection, add_study(connection, 6)))
        add_study(connection, 8, instances=7)
    page = new_page(None, locale="zh-CN")
    is_chinese(page, looks_fine, "sign-in")
    page.fill("#name", "ana")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("用户名与密码不匹配。")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{pages.url}/")

    expect(page.locator(".alert")).to_contain_text("立即 · 疑似 SDH 31.2")
    expect(page).to_have_title(re.compile(r"\(2\) 工作列表"))
    assert set(page.locator("tr .ai").all_inner_texts()) == {"有提示", "未提示", "未分析", "分析中", "接收中"}
    expect(page.locator("tr").filter(has_text="样本")).to_contain_text("未送达 main-pacs")
    expect(page.locator("tr").filter(has_text="没有匹配的规则。")).to_be_visible()
    is_chinese(page, looks_fine, "worklist")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("认领或取消认领")
    is_chinese(page, looks_fine, "worklist-keys")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    is_chinese(page, looks_fine, "worklist-390")
    page.set_viewport_size({"width": 1280, "height": 720})

    page.goto(f"{pages.url}/shift")
    is_chinese(page, looks_fine, "shift")
    page.goto(f"{pages.url}/burden")
    is_chinese(page, looks_fine, "burden")
    with context.pool.connection() as connection:
        connection.execute("UPDATE account SET roles = roles || '{administrator}' WHERE name = 'ana'")
    page.goto(f"{pages.url}/audit")
    is_chinese(page, looks_fine, "audit")
    page.goto(f"{pages.url}/nowhere")
    expect(page.get_by_role("heading")).to_have_text("这里什么也没有")
    is_chinese(page, looks_fine, "error")

    page.goto(f"{pages.url}/")
    page.locator("a.open", has_text="王").click()
    expect(page.locator("main.viewer[data-state=ready]")).to_be_visible()
    expect(page.locator(".pane-slice [data-part=slice]")).to_have_text("层 10/14")
    expect(page.locator(".pane-slice [data-part=window]")).to_contain_text("脑窗 · W 80 L 40")
    expect(page.locator(".not-for").first).to_have_text("不作为诊断依据")
    expect(page.locator("#windows button").first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#track")).to_have_attribute("aria-valuetext", "第 10 层，共 14 层，疑似 SDH")
    is_chinese(page, looks_fine, "viewer")
    page.locator(".panel-links a").click()
    expect(page.locator("ol.history")).to_contain_text("影像正在到达")
    is_chinese(page, looks_fine, "study")
    assert page.locator("img[src=x]").count() == 0, "a patient's name is only ever text"


def test_the_language_is_kept_with_the_account_and_live_parts_follow_it(
    context: Context, new_page: NewPage, pages: ServedPages
) -> None:
    page = new_page("ana")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="尚无检查")).to_be_visible()
    flag_study(context, 1, {"IPH": 20.0}, name=HOSTILE)
    expect(page.locator("tr .suspected")).to_have_text("疑似 IPH 20.0\u00a0mL")
    expect(page.locator("form[data-claim] button")).to_have_attribute("aria-label", re.compile("^认领 王, "))
    page.keyboard.press("j")
    page.keyboard.press("c")
    expect(page.locator("#said")).to_have_text("已认领。")

    elsewhere = new_page("ana")
    expect(elsewhere.locator("html")).to_have_attribute("lang", "zh-CN")
    elsewhere.get_by_role("button", name="English").click()
    expect(elsewhere.get_by_role("columnheader", name="Patient")).to_be_visible()
    expect(new_page("bo").locator("html")).to_have_attribute("lang", "en")
