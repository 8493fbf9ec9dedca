"""The languages there are, and their catalogues: gettext files kept as text and compiled when first asked for."""

import gettext
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from babel import Locale
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ENGLISH = "en"


@dataclass(frozen=True, eq=False)
class Language:
    """A language of the pages.

    Attributes:
        tag: BCP 47, as in the attribute `lang`.
        name: what its readers call it.
        covers: tags in lower case that a browser may ask for and this answers.
        locale: whose names of months, digits and signs are used.
        date_pattern: CLDR; English stays with ISO 8601, which nobody reads as month and day the wrong way round.
        translations: every message.
        script_messages: those that scripts use, as JSON; what is missing there is its own translation.
    """

    tag: str
    name: str
    covers: frozenset[str]
    locale: Locale
    date_pattern: str
    translations: gettext.NullTranslations = field(default_factory=gettext.NullTranslations)
    script_messages: str = "{}"


@cache
def languages() -> Mapping[str, Language]:
    """Every language by its tag, English first."""
    chinese = read_catalogue("zh_CN")
    known = (
        Language(ENGLISH, "English", frozenset({"en"}), Locale("en"), "yyyy-MM-dd"),
        Language(
            "zh-CN",
            "中文",
            frozenset({"zh", "zh-cn", "zh-sg", "zh-hans", "zh-hans-cn", "zh-hans-sg"}),
            Locale.parse("zh_Hans_CN"),
            "medium",
            _compile(chinese),
            json.dumps(_script_messages(chinese), ensure_ascii=False, separators=(",", ":")),
        ),
    )
    return MappingProxyType({language.tag: language for language in known})


def read_catalogue(locale: str) -> Catalog:
    """A catalogue as it is kept, with the files each message stands in."""
    with files("services.languages").joinpath(f"{locale}.po").open("rb") as file:
        return read_po(file, locale=locale)


def find_language(tag: str | None) -> Language | None:
    """The language of exactly this tag, or None."""
    return languages().get(tag or "")


def negotiate(accepted: str) -> Language:
    """The language a browser likes best among ours (RFC 9110, Accept-Language); English where none is."""
    for tag in _by_preference(accepted):
        for language in languages().values():
            if tag in language.covers or tag.partition("-")[0] == language.tag:
                return language
    return languages()[ENGLISH]


def _by_preference(accepted: str) -> Iterator[str]:
    weighed = []
    for entry in accepted.lower().split(","):
        tag, _, weight = entry.partition(";q=")
        try:
            quality = float(weight or 1)
        except ValueError:
            continue
        if quality > 0:
            weighed.append((-quality, tag.strip()))
    return (tag for _, tag in sorted(weighed, key=lambda pair: pair[0]))


def _compile(catalogue: Catalog) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _script_messages(catalogue: Catalog) -> dict[str, str]:
    """Translations of the messages that stand in scripts. Chinese has one form for every number."""
    found = {}
    for message in catalogue:
        key = message.id if isinstance(message.id, str) else message.id[0]
        said = message.string if isinstance(message.string, str) else next(iter(message.string or ()), "")
        if key and said and any(name.endswith(".js") for name, _ in message.locations):
            found[key] = said
    return found
