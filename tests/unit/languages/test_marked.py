"""Every word people read is marked, and every marked one has a Chinese translation with the same places in it."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from jinja2 import Environment, nodes

from models.prediction import Urgency
from services.languages.catalogues import read_catalogue
from services.languages.extract import ROOT, collect, is_card_text
from services.ledger.accounts import Role
from services.ledger.opinions import Reason
from services.triage.words import REASONS, ROLES, URGENCIES

PAGES = sorted((ROOT / "services").rglob("templates/*.html"))
SCRIPTS = sorted(
    path for path in (ROOT / "services").rglob("static/**/*.js") if "ohif" not in path.parts
)  # it has its own
ENDPOINTS = sorted([*(ROOT / "services" / "triage").glob("*.py"), *(ROOT / "services" / "review").glob("*.py")])
READ_ALOUD = {"aria-label", "placeholder", "title", "alt", "aria-description", "aria-roledescription"}
NAMES = re.compile(r"Nightjar|ABC/2|OHIF|DICOM SEG|NIfTI|SEG|AI|mL|mm|Dice|ICC|[A-Z]")
MARKED = re.compile(r'(?<![\w.])_\("((?:[^"\\]|\\.)*)"')


@cache
def collected() -> Catalog:
    return collect()


def places(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s|%%|<[^>]+>", text))


def forms(message: Message) -> Iterator[str]:
    yield from (message.string,) if isinstance(message.string, str) else message.string


def test_every_message_is_in_the_catalogue_and_translated() -> None:
    found = {message.id for message in collected() if message.id}
    kept = {message.id: message for message in read_catalogue("zh_CN") if message.id}
    optional = {message.id for message in [*collected(), *kept.values()] if is_card_text(message)}

    assert found - set(kept) - optional == set(), "run `make messages` and translate what is new"
    assert set(kept) - found - optional == set(), "run `make messages`: these are said nowhere any more"
    assert [id_ for id_, message in kept.items() if id_ not in optional and not all(forms(message))] == []


def test_translations_keep_places_and_markup() -> None:
    for message in read_catalogue("zh_CN"):
        if not message.id or not any(forms(message)):
            continue
        assert not message.fuzzy
        own = message.id if isinstance(message.id, str) else message.id[1]
        for form in forms(message):
            assert places(form) == places(own), message.id


def test_words_of_other_packages_are_the_ones_marked() -> None:
    assert {urgency: urgency.word for urgency in Urgency} == URGENCIES
    assert {reason: reason.words for reason in Reason} == REASONS
    assert {role: role.value for role in Role} == ROLES


class _Text(HTMLParser):
    """What a template says outside of its expressions; <kbd> and <code> name keys and commands."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("kbd", "code", "script", "style"):
            self._silent.append(tag)
        self.said += [value for name, value in attributes if name in READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.said.append(data)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.parent.name}/{page.name}")
def test_templates_say_nothing_unmarked(page: Path) -> None:
    source = re.sub(r"\{% block body_class %\}.*?\{% endblock %\}", "", page.read_text(encoding="utf-8"))
    parser = _Text()
    parser.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL))
    left = [NAMES.sub("", text) for text in parser.said]
    assert [text.strip() for text in left if re.search(r"[A-Za-z]{2,}", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.parent.name}/{page.name}")
def test_templates_look_up_literals_only_and_say_none_raw(page: Path) -> None:
    """`_(variable)` would put what it holds on the page unescaped; `"a" if x else "b"` would not be translated."""
    tree = Environment(extensions=["jinja2.ext.i18n"]).parse(page.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext", "ngettext"):
            count = 2 if call.node.name == "ngettext" else 1
            assert all(isinstance(argument, nodes.Const) for argument in call.args[:count]), call.lineno
    for output in tree.find_all(nodes.Output):
        for choice in (each for each in output.nodes if isinstance(each, nodes.CondExpr)):
            said = [each.value for each in (choice.expr1, choice.expr2) if isinstance(each, nodes.Const)]
            assert [text for text in said if re.search(r"^[A-Z][a-z]", str(text))] == [], output.lineno


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_say_nothing_unmarked(script: Path) -> None:
    """Sentences in quotes stand in `_()`, and the extraction sees every one of them."""
    source = "\n".join(
        line
        for line in script.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith(("//", "*", "/*"))
    )
    name = script.relative_to(ROOT).as_posix()
    seen = {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in collected()
        if message.id and any(file == name for file, _ in message.locations)
    }
    marked = {text.encode().decode("unicode_escape") if "\\" in text else text for text in MARKED.findall(source)}
    assert marked <= seen
    unmarked = re.sub(r'(?:_|ngettext)\("(?:[^"\\]|\\.)*"(?:, "(?:[^"\\]|\\.)*")?', "", source)
    assert (
        re.findall(r'["`]([A-Z][a-z]+(?: [a-z][^"`]*)?[.:]?)["`](?!\s*:)', unmarked) == [] or script.name in KEY_NAMES
    )


KEY_NAMES = {"before-after.js", "keys.js", "live.js", "study.js", "shift.js", "viewer.js"}
"""They name keys as browsers do: Escape, Enter."""


@pytest.mark.parametrize("module", ENDPOINTS, ids=lambda module: f"{module.parent.name}/{module.name}")
def test_refusals_are_said_in_the_readers_language(module: Path) -> None:
    for call in (
        node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
    ):
        if getattr(call.func, "id", None) == "HTTPException" and len(call.args) > 1:
            assert not isinstance(call.args[1], ast.Constant | ast.JoinedStr), f"{module.name}:{call.lineno}"
