"""Bring the catalogues up to date with the messages in code, templates, scripts, tasks and cards: `make messages`.

Translations stay; a message that is new is left empty, for a person to translate; one that is gone is dropped. What a
card says may stay without one: pages then show it in English, and say so to a screen reader.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.pofile import write_po

from services.languages.catalogues import read_catalogue

ROOT = Path(__file__).parents[2]
_METHODS = {".py": "python", ".html": "jinja2", ".js": "javascript"}
_KEYWORDS = {"_": None, "gettext": None, "mark": None, "ngettext": (1, 2)}
_SCRIPT_KEYWORDS = {"_": None, "ngettext": (1, 2)}  # performance.mark is none of ours
_OPTIONS = {"newstyle_gettext": "true", "trimmed": "true", "silent": "false", "parse_template_string": "true"}


def collect(root: Path = ROOT) -> Catalog:
    """Every message below services/, with the files it stands in."""
    catalogue = Catalog(domain="nightjar", fuzzy=False)
    for path in _sources(root):
        keywords = _SCRIPT_KEYWORDS if path.suffix == ".js" else _KEYWORDS
        for _, message, _, _ in extract_from_file(_METHODS[path.suffix], path, keywords, (), _OPTIONS):
            catalogue.add(message, locations=[(path.relative_to(root).as_posix(), 0)])
    for path in sorted((root / "models").glob("*/model.yaml")):
        for text in _card_texts(yaml.safe_load(path.read_text(encoding="utf-8"))):
            catalogue.add(text, locations=[(path.relative_to(root).as_posix(), 0)])
    for path in sorted((root / "services/review/tasks").glob("*.yaml")):
        for text in _task_texts(yaml.safe_load(path.read_text(encoding="utf-8"))):
            catalogue.add(text, locations=[(path.relative_to(root).as_posix(), 0)])
    return catalogue


def is_card_text(message: Message) -> bool:
    """Whether only models' cards say it."""
    return all(name.startswith("models/") for name, _ in message.locations)


def update(locale: str, collected: Catalog) -> tuple[Path, int]:
    """Write a catalogue anew; where it is and how many messages have no translation."""
    path = Path(__file__).parent / f"{locale}.po"
    catalogue = read_catalogue(locale)
    catalogue.update(collected, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=118, sort_output=True, ignore_obsolete=True, include_lineno=False)
    return path, sum(
        1 for message in catalogue if message.id and not _is_translated(message.string) and not is_card_text(message)
    )


def _card_texts(card: dict[str, Any]) -> Iterator[str]:
    """What pages show of a card. Abbreviations such as IPH are themselves in every language."""
    yield from (card["intended_use"], *card.get("limits", ()))
    for label in card.get("labels") or ():
        yield from (text for text in (label["name"], label["meaning"]) if not text.isupper())
    for measure in card.get("measures") or ():
        yield from (measure["name"], *(answer["meaning"] for answer in measure.get("answers") or ()))


def _task_texts(task: dict[str, Any]) -> Iterator[str]:
    """What pages show of a task type that ships with Nightjar."""
    yield from (task["title"], *task["quality"]["words"].values())
    for label in task["labels"]:
        yield from (text for text in (label["name"], label["meaning"]) if not text.isupper())
    for rule in task["rules"]:
        yield from (rule["title"], rule["text"])


def _is_translated(string: str | tuple[str, ...] | list[str] | None) -> bool:
    return bool(string) and all(string or ())


def _sources(root: Path) -> Iterator[Path]:
    for path in sorted((root / "services").rglob("*")):
        if path.suffix in _METHODS and "datasets" not in path.parts:
            yield path


if __name__ == "__main__":
    where, missing = update("zh_CN", collect())
    print(f"{where.relative_to(ROOT)}: {missing} without a translation.")
    sys.exit(1 if missing else 0)
