"""The night radiologist at the worklist, in a real browser."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from support.heads import head_instances, small_head
from support.images import analyse, receive
from support.triage import (
    PASSWORD,
    ServedPages,
    add_account,
    add_analysis,
    add_study,
    end_study,
    flag_study,
    park_delivery,
    run_analysis,
    say_inference_lives,
    served,
)

from models.prediction import Finding, Urgency
from models.registry import load_card
from services.context import Context
from services.ledger import opinions
from services.ledger.opinions import Reason, Verdict
from services.settings import Settings, WebSettings

NewPage = Callable[..., Page]
LooksFine = Callable[[Page, str], None]


def fill(context: Context) -> None:
    """One study in every state the list knows."""
    flag_study(context, 1, {"SDH": 48.2, "SAH": 3.1}, name="EXAMPLE^MARGARET", minutes_ago=4)
    _, analysis_id = flag_study(context, 2, {"SAH": 0.06}, urgency=2, name="SAMPLE^THEO", minutes_ago=18)
    flag_study(context, 3, {}, urgency=3, name="PHANTOM^OLIVER", minutes_ago=74)
    with context.pool.connection() as connection:
        park_delivery(connection, analysis_id, "main-pacs")
        end_study(connection, add_study(connection, 4, name="DEMO^CLARA"), "not_applicable", "No series fits a model.")
        end_study(connection, add_study(connection, 5, name="MODEL^ANTON"), "parked", "Series 2 lacks 3 slices.")
        run_analysis(connection, add_analysis(connection, add_study(connection, 6, name="IMAGINARY^SUE")))
        add_analysis(connection, add_study(connection, 7, name="INVENTED^KOFI"))
        add_study(connection, 8, name="NOBODY^IRIS", instances=7)
        failed = add_study(connection, 9, name="FICTION^LEV")
        analysis = add_analysis(connection, failed)
        connection.execute("UPDATE analysis SET state = 'failed' WHERE id = %s", [analysis])
        end_study(connection, failed, "failed", "The replica did not answer. Given up after 3 tries.")


def patients(page: Page) -> list[str]:
    return page.locator("tr[data-key] a.open").all_inner_texts()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr')?.querySelector('a.open').textContent ?? ''"))


def test_every_state_of_the_list(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    fill(context)
    page = new_page()
    expect(page.locator(".alert")).to_contain_text("Suspected SDH 48.2")
    looks_fine(page, "worklist")
    words = page.locator("tr .ai").all_inner_texts()
    assert set(words) == {"Flag", "No flag raised", "Not analysed", "Failed", "Running", "Queued", "Receiving"}
    for width, height in ((1280, 720), (390, 844), (768, 1024), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        looks_fine(page, f"worklist-{width}")


def test_sign_in(new_page: NewPage, pages: ServedPages, looks_fine: LooksFine) -> None:
    page = new_page(None)
    looks_fine(page, "sign-in")
    page.fill("#name", "ana")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This name and password do not match.")
    looks_fine(page, "sign-in-refused")
    expect(page.locator("#password")).to_be_focused()


def test_nothing_yet_then_the_first_study(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    page = new_page()
    expect(page.get_by_role("heading", name="No studies yet")).to_be_visible()
    expect(page.locator(".target")).to_contain_text("NIGHTJAR")
    looks_fine(page, "empty")
    with context.pool.connection() as connection:
        add_study(connection, 1, name="DOE^JANE")
    expect(page.locator("a.open")).to_have_text("DOE, JANE")
    expect(page).to_have_title("Worklist · Nightjar")


def test_a_flag_arrives_without_moving_the_focus(context: Context, new_page: NewPage) -> None:
    for number in range(1, 30):
        flag_study(context, number, {}, urgency=3, name=f"OLD^{number:02d}", minutes_ago=40 - number)
    page = new_page()
    for _ in range(20):
        page.keyboard.press("j")
    assert focused(page) == "OLD, 20"
    page.wait_for_function("() => scrollY > 0", polling=100)
    row = page.locator("tr", has_text="OLD, 20")
    before = row.bounding_box()
    flag_study(context, 99, {"SDH": 30.0}, name="NEW^BLEED")
    expect(page.locator("a.open").first).to_have_text("NEW, BLEED")
    expect(page).to_have_title("(1) Worklist · Nightjar")
    expect(page.locator(".alert")).to_contain_text("NEW, BLEED")
    assert focused(page) == "OLD, 20"
    after = row.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 2
    page.keyboard.press("k")
    assert focused(page) == "OLD, 19"


def test_a_row_that_changes_under_the_focus_keeps_it(context: Context, new_page: NewPage) -> None:
    with context.pool.connection() as connection:
        study_uid = add_study(connection, 1, name="DOE^JANE")
        add_study(connection, 2, name="ROE^RICHARD")
    page = new_page()
    page.locator("tr", has_text="DOE, JANE").get_by_role("button", name="Claim").focus()
    with context.pool.connection() as connection:
        end_study(connection, study_uid, "not_applicable", "No series fits a model.")
    expect(page.locator("tr", has_text="DOE, JANE").locator(".ai")).to_have_text("Not analysed")
    assert focused(page) == "DOE, JANE"
    assert page.evaluate("document.activeElement.tagName") == "BUTTON"


def test_an_unchanged_row_stays_the_same_element(context: Context, new_page: NewPage) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    page = new_page()
    page.evaluate("document.querySelector('tr[data-key]').mark = 1")
    flag_study(context, 2, {}, urgency=3, name="ROE^RICHARD")
    expect(page.locator("tr[data-key]")).to_have_count(2)
    assert page.evaluate("document.querySelector('tr[data-key]').mark") == 1


def test_a_claim_is_seen_by_everybody(context: Context, new_page: NewPage) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    ana, bo = new_page("ana"), new_page("bo")
    expect(bo.locator(".alert")).to_be_visible()
    ana.keyboard.press("j")
    ana.keyboard.press("c")
    expect(ana.locator(".reader")).to_have_text("You")
    expect(bo.locator(".reader")).to_have_text("ana")
    expect(bo.locator(".alert")).to_have_count(0)
    expect(bo).to_have_title("Worklist · Nightjar")
    assert focused(ana) == "DOE, JANE"
    ana.keyboard.press("c")
    expect(bo.get_by_role("button", name="Claim")).to_be_visible()


def test_an_immediate_result_is_acknowledged_by_each_reader_for_themselves(context: Context, new_page: NewPage) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    ana, bo = new_page("ana"), new_page("bo")
    ana.get_by_role("button", name="Acknowledge").click()
    expect(ana.locator(".alert")).to_have_count(0)
    ana.reload()
    expect(ana.locator("tr[data-key]")).to_have_count(1)
    expect(ana.locator(".alert")).to_have_count(0)
    expect(bo.locator(".alert")).to_be_visible()
    flag_study(context, 2, {"EDH": 9.0}, name="ROE^RICHARD")
    expect(ana.locator(".alert")).to_contain_text("ROE, RICHARD")


def test_a_lost_connection_is_said_and_made_good(
    context: Context, pages: ServedPages, new_page: NewPage, looks_fine: LooksFine
) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    page = new_page()
    page.keyboard.press("j")
    lost = page.locator("#lost")
    expect(lost).to_be_hidden()
    pages.stop()
    expect(lost).to_be_visible(timeout=12000)
    expect(lost).to_have_text(re.compile(r"^Connection lost\. List is \d+ s old\. Reconnecting$"))
    looks_fine(page, "connection-lost")
    flag_study(context, 2, {"EDH": 9.0}, name="ROE^RICHARD")
    pages.start()
    expect(page.locator("tr[data-key]")).to_have_count(2, timeout=12000)
    expect(lost).to_be_hidden()
    assert focused(page) == "DOE, JANE"


def test_a_page_that_slept_catches_up(context: Context, pages: ServedPages, new_page: NewPage) -> None:
    page = new_page()
    expect(page.get_by_role("heading", name="No studies yet")).to_be_visible()
    page.context.set_offline(True)
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    expect(page.locator("#lost")).to_be_visible(timeout=12000)
    page.context.set_offline(False)
    expect(page.locator("a.open")).to_have_text("DOE, JANE", timeout=12000)
    expect(page.locator("#lost")).to_be_hidden()


def test_the_ai_being_down_is_said_and_unsaid(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    fill(context)
    page = new_page()
    notice = page.get_by_text("AI is not running. Studies are in arrival order.")
    expect(notice).to_have_count(0)
    with context.pool.connection() as connection:
        say_inference_lives(connection, ago_s=60)
    expect(notice).to_be_visible(timeout=10000)
    looks_fine(page, "ai-down")
    with context.pool.connection() as connection:
        say_inference_lives(connection)
    expect(notice).to_have_count(0, timeout=10000)


def test_waiting_times_tick(context: Context, new_page: NewPage) -> None:
    with context.pool.connection() as connection:
        add_study(connection, 1, minutes_ago=0.1)
    page = new_page()
    first = page.locator("time.wait").inner_text()
    page.wait_for_function("text => document.querySelector('time.wait').textContent !== text", arg=first, polling=100)


def test_keys(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    flag_study(context, 1, {}, urgency=3, name="FIRST^ARRIVED", minutes_ago=9)
    flag_study(context, 2, {"IPH": 5.0}, name="SECOND^FLAGGED", minutes_ago=1)
    page = new_page()
    assert patients(page) == ["SECOND, FLAGGED", "FIRST, ARRIVED"]
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    looks_fine(page, "keys")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.locator("a.open").first).to_have_text("FIRST, ARRIVED")
    assert page.url.endswith("/?sort=arrival")
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.locator("a.open").first).to_have_text("SECOND, FLAGGED")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert focused(page) == "FIRST, ARRIVED"
    page.keyboard.press("ArrowUp")
    assert focused(page) == "SECOND, FLAGGED"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="SECOND, FLAGGED")).to_be_visible()
    page.get_by_role("link", name="Series, deliveries and history").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    looks_fine(page, "study")
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "study-390")
    page.keyboard.press("Escape")
    expect(page.locator("tr[data-key]")).to_have_count(2)


def test_letters_are_letters_while_typing_and_can_be_switched_off(context: Context, new_page: NewPage) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JACK")
    flag_study(context, 2, {"IPH": 5.0}, name="ROE^RICHARD")
    page = new_page()
    page.keyboard.press("f")
    page.keyboard.type("jack")
    expect(page.locator("tr[data-key]:visible")).to_have_count(1)
    assert "jack" not in page.url.lower()
    expect(page.get_by_role("button", name=re.compile("^Claim"))).to_have_count(1)  # C claimed nothing
    page.locator("#find").fill("zzz")
    expect(page.get_by_text("No study on this list holds these words.")).to_be_visible()
    page.locator("#find").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_label("Single-letter keys are on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("c")
    page.keyboard.press("f")
    expect(page.locator("#find")).not_to_be_focused()
    expect(page.locator(".reader")).to_have_count(0)


def test_filters(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    fill(context)
    page = new_page()
    page.get_by_role("link", name=re.compile("^Urgent")).click()
    expect(page.locator("tr[data-key]")).to_have_count(1)
    assert page.url.endswith("/?priority=urgent")
    page.get_by_label("AI state").select_option("Failed")
    expect(page.get_by_role("heading", name="No study matches these filters")).to_be_visible()
    looks_fine(page, "no-match")
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator("tr[data-key]")).to_have_count(9)
    expect(page.get_by_label("AI state")).to_have_value("")
    page.get_by_label("AI state").select_option("Not analysed")
    expect(page.locator("tr[data-key]")).to_have_count(2)
    page.reload()
    expect(page.locator("tr[data-key]")).to_have_count(2)


def test_errors_are_designed(new_page: NewPage, pages: ServedPages, looks_fine: LooksFine) -> None:
    page = new_page()
    page.goto(f"{pages.url}/studies/none")
    expect(page.get_by_role("heading", name="Nothing here")).to_be_visible()
    looks_fine(page, "not-found")
    page.get_by_role("link", name="Back to the worklist").click()
    page.wait_for_url(f"{pages.url}/")


def test_an_ended_session_leads_to_the_sign_in(context: Context, new_page: NewPage, pages: ServedPages) -> None:
    page = new_page()
    page.context.clear_cookies()
    with context.pool.connection() as connection:
        add_study(connection, 1)
    page.wait_for_url(f"{pages.url}/sign-in")


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>^A", '"><script>document.title="x"</script>'])
def test_a_patients_name_is_only_ever_text(context: Context, new_page: NewPage, name: str) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name=name, description=name)
    page = new_page()
    expect(page.locator(".alert")).to_be_visible()
    assert page.locator("main img:not([src^='/previews/']), .alert img, main script").count() == 0
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("<")


def test_a_claim_is_handed_over(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    ana, bo = new_page("ana"), new_page("bo")
    ana.keyboard.press("j")
    ana.keyboard.press("c")
    expect(ana.locator(".reader")).to_have_text("You")
    ana.keyboard.press("h")
    dialog = ana.get_by_role("dialog", name="DOE, JANE")
    expect(dialog.get_by_label("To")).to_be_focused()
    looks_fine(ana, "hand-over")
    dialog.get_by_role("button", name="Hand over").click()
    expect(ana.locator(".reader")).to_have_text("bo")
    expect(bo.locator(".c-reader")).to_contain_text("from ana")
    expect(bo.locator(".reader")).to_have_text("You")
    assert focused(ana) == "DOE, JANE"


def test_a_flag_is_dismissed_and_brought_back(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE", minutes_ago=2)
    flag_study(context, 2, {}, urgency=3, name="ROE^RICHARD", minutes_ago=9)
    ana, bo = new_page("ana"), new_page("bo")
    expect(bo.locator(".alert")).to_be_visible()
    ana.keyboard.press("j")
    ana.keyboard.press("d")
    expect(ana.get_by_role("button", name="False positive")).to_be_focused()
    looks_fine(ana, "dismiss")
    ana.get_by_role("button", name="Known finding").click()
    row = bo.locator("tr", has_text="DOE, JANE")
    expect(row).to_contain_text("Dismissed by ana: Known finding")
    expect(bo.locator(".alert")).to_have_count(0)
    expect(bo).to_have_title("Worklist · Nightjar")
    assert patients(bo) == ["ROE, RICHARD", "DOE, JANE"]
    looks_fine(bo, "dismissed")
    row.get_by_role("button", name="More for DOE, JANE").click()
    bo.get_by_role("button", name="I agree with the flag").click()
    expect(bo.locator("a.open").first).to_have_text("DOE, JANE")
    expect(ana.locator("tr", has_text="DOE, JANE")).not_to_contain_text("Dismissed")


def test_the_sound_lasts_until_this_reader_acknowledges(context: Context, new_page: NewPage) -> None:
    ana = new_page("ana")
    sound = ana.get_by_role("button", name="Sound off")
    sound.click()
    sound = ana.get_by_role("button", name="Sound on")
    expect(sound).to_have_attribute("aria-pressed", "true")
    expect(sound).to_have_attribute("data-played", "1")
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE")
    expect(sound).to_have_attribute("data-played", "2")
    expect(sound).to_have_attribute("data-played", "3", timeout=12000)
    elsewhere = new_page("ana")
    elsewhere.get_by_role("button", name="Acknowledge").click()
    ana.reload()  # at the other station too
    expect(ana.locator("tr[data-key]")).to_have_count(1)
    expect(ana.locator(".alert")).to_have_count(0)


def test_outlines_of_the_pictures_go_and_come(context: Context, new_page: NewPage, pages: ServedPages) -> None:
    study_uid, series_uid = receive(context, head_instances(small_head()))
    labels = np.zeros((14, 128, 128), np.uint8)
    analyse(context, study_uid, series_uid, labels, [Finding("IPH", 0.9, 12.0, Urgency.URGENT, 9)])
    page = new_page()
    picture = page.locator(".c-preview img")
    outlined = picture.get_attribute("src")
    page.keyboard.press("o")
    expect(picture).to_have_attribute("src", f"{outlined}?outlines=off")
    page.wait_for_function("() => document.querySelector('.c-preview img').naturalWidth === 192", polling=100)
    page.reload()
    expect(picture).to_have_attribute("src", f"{outlined}?outlines=off")
    page.keyboard.press("o")
    expect(picture).to_have_attribute("src", str(outlined))


def test_a_patient_id_is_looked_for_in_every_study_and_in_no_address(
    context: Context, new_page: NewPage, pages: ServedPages, looks_fine: LooksFine
) -> None:
    with context.pool.connection() as connection:
        add_study(connection, 1, name="DOE^JANE", minutes_ago=60 * 24 * 30)
        add_study(connection, 2, name="ROE^RICHARD", accession="ACC-77")
    page = new_page()
    expect(page.locator("tr[data-key]")).to_have_count(1)
    page.keyboard.press("f")
    page.keyboard.type("p00001")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="DOE, JANE")).to_be_visible()
    assert page.url == f"{pages.url}/search"
    looks_fine(page, "search")
    page.get_by_label("Patient ID or accession number").fill("ACC-77")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="ROE, RICHARD")).to_be_visible()
    page.get_by_label("Patient ID or accession number").fill("<b>nobody</b>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No study with this")).to_be_visible()
    looks_fine(page, "search-none")
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "search-390")


def test_a_shift_is_summed_up_printed_and_handed_over(
    context: Context, new_page: NewPage, pages: ServedPages, looks_fine: LooksFine
) -> None:
    fill(context)
    page = new_page()
    for name in ("EXAMPLE, MARGARET", "PHANTOM, OLIVER"):
        page.locator("tr", has_text=name).get_by_role("button", name="Claim").click()
        expect(page.locator("tr", has_text=name).locator(".reader")).to_have_text("You")
    page.get_by_role("link", name="Shift summary").click()
    expect(page.get_by_role("region", name="Flags nobody has taken")).to_contain_text("SAMPLE, THEO")
    expect(page.get_by_role("region", name="Flags taken or dismissed")).to_contain_text("EXAMPLE, MARGARET")
    expect(page.get_by_role("region", name="No answer where one was expected")).to_contain_text("FICTION, LEV")
    looks_fine(page, "shift")
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "shift-390")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(media="print")
    looks_fine(page, "shift-print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.get_by_label("Hand all of them over to").select_option("bo")
    page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_role("heading", name="bo: 2")).to_be_visible()
    page.get_by_role("link", name="8 h").click()
    assert page.url == f"{pages.url}/shift?hours=8"


def test_the_alarm_burden_and_another_threshold(context: Context, new_page: NewPage, looks_fine: LooksFine) -> None:
    card = load_card("ich")
    point = card.label("SDH").operating_point.probability
    for study, score in ((1, 0.95), (2, point + 0.01), (3, point + 0.02), (4, 0.1)):
        study_uid, series_uid = receive(context, head_instances(small_head(), study=study))
        found = [Finding("SDH", score, 12.0, Urgency.URGENT, 9)] if score > point else []
        labels = np.zeros((14, 128, 128), np.uint8)
        analysis_id = analyse(
            context, study_uid, series_uid, labels, found, model_version=card.version, probabilities={"SDH": score}
        )
        if study == 2:
            with context.pool.connection() as connection:
                opinions.say(connection, study_uid, analysis_id, "bo", Verdict.DISAGREE, Reason.ARTEFACT)
    page = new_page()
    page.get_by_role("link", name="Alarm burden").click()
    expect(page.locator(".headline")).to_contain_text(
        "75.0 flags per 100 studies · 3 flags on 4 studies · 33 % dismissed"
    )
    expect(page.get_by_role("region", name="By scanner")).to_contain_text("SCANNER")
    looks_fine(page, "burden")
    page.get_by_label("Label").select_option(f"ich {card.version} SDH")
    page.get_by_label("Probability").fill("0.9")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("p[role=status]")).to_contain_text("there would have been 1 flag instead of 3 on 4 studies")
    expect(page.get_by_text("readers had dismissed 1, agreed with 0, and said nothing of 1")).to_be_visible()
    looks_fine(page, "burden-replay")
    page.set_viewport_size({"width": 390, "height": 844})
    looks_fine(page, "burden-390")


def test_no_answers_yet_is_said(new_page: NewPage, pages: ServedPages, looks_fine: LooksFine) -> None:
    page = new_page()
    page.goto(f"{pages.url}/burden")
    expect(page.get_by_role("heading", name="No answers in these 30 days")).to_be_visible()
    looks_fine(page, "burden-none")
    page.goto(f"{pages.url}/shift")
    expect(page.get_by_role("heading", name="No study arrived in these 12 hours")).to_be_visible()
    looks_fine(page, "shift-none")


@pytest.fixture
def narrow(settings: Settings) -> Settings:
    columns = ("ai", "priority", "patient", "accession", "arrived")
    return settings.model_copy(update={"web": WebSettings(columns=columns, preview_outlines=False)})


def test_a_site_chooses_its_columns(
    context: Context, narrow: Settings, chromium: Browser, looks_fine: LooksFine
) -> None:
    flag_study(context, 1, {"IPH": 5.0}, name="DOE^JANE", accession="ACC-1")
    add_account(context, "ana")
    with served(replace(context, settings=narrow)) as pages:
        page = chromium.new_page()
        page.goto(f"{pages.url}/")
        page.fill("#name", "ana")
        page.fill("#password", PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("th")).to_have_text(["AI state", "Priority", "Patient", "Accession", "Arrived"])
        expect(page.locator("td.c-accession")).to_have_text("ACC-1")
        looks_fine(page, "columns")
        page.set_viewport_size({"width": 390, "height": 844})
        looks_fine(page, "columns-390")
        page.close()


def test_500_rows_stay_fluid(context: Context, new_page: NewPage) -> None:
    """A flag among 500 rows: what is not new stays the same element, and the focus where it is."""
    with context.pool.connection() as connection:
        for number in range(1, 501):
            add_study(connection, number, name=f"OLD^{number:03d}", minutes_ago=50 - number / 20)
    page = new_page()
    expect(page.locator("tr[data-key]")).to_have_count(500)
    page.evaluate("for (const row of document.querySelectorAll('tr[data-key]')) row.mark = 1")
    page.keyboard.press("j")
    place = focused(page)
    flag_study(context, 999, {"SDH": 30.0}, name="NEW^BLEED")
    expect(page.locator("a.open").first).to_have_text("NEW, BLEED")
    assert page.evaluate("[...document.querySelectorAll('tr[data-key]')].filter(row => row.mark).length") == 499
    assert focused(page) == place
