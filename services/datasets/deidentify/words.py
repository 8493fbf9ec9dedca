"""Free text and code strings: only words and numbers known to name nobody stay (Clean Descriptors).

A list of what may stay needs nobody to guess what a name looks like. What the object itself says of people (names,
numbers, addresses) goes even where it is on the list: a Mr Brain is taken out of "CT brain".
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import numpy as np

_WORD: Final = re.compile(r"[^\W_]+(?:[.,]\d+)?[^\W\d_]*", re.UNICODE)
_NUMBER: Final = re.compile(
    r"(?:[<>]?\d{1,3}(?:[.,]\d{1,3})?(?:mm|cm|s|sec|ms|min|kv|kvp|ma|mas|hu|ml|t|deg|d|x|f|b|mhz|p)?"
    r"|b\d{1,4}|te\d{1,3}|tr\d{1,4}|ti\d{1,4}|fa\d{1,3}|\d{1,4}x\d{1,4}(?:x\d{1,4})?|(?:dir|[txyzpcls])\d{1,2})"
)
_RUNS: Final = (
    re.compile(r"\S+@\S+"),
    re.compile(r"\b\w+://\S+|\bwww\.\S+", re.IGNORECASE),
    re.compile(r"\b[^\W\d_]{0,8}[-_#:]?\d{5,}\w*"),
    # Dates, telephone and other numbers in groups: six digits and more, whatever lies between them.
    re.compile(r"[+(]?\d(?:[\s()./:-]{0,2}\d){5,}"),
    re.compile(r"\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b"),
)
_SUSPECT: Final = re.compile(
    r"\d{7,}|[\^@]|(?:19|20)\d{2}[01]\d[0-3]\d|\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d{2}|(?:19|20)\d{2}[./-]\d{1,2}[./-]\d{1,2}"
)
SHORTEST: Final = 3
"""Parts of names and numbers shorter than this (initials, "Li", "de") are not looked for elsewhere."""


def fold(text: str) -> str:
    """Lower case without accents, so that Müller, MUELLER's cousin muller and MÜLLER are found alike."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@cache
def known_words() -> frozenset[str]:
    return frozenset(fold(word) for word in listed("words.txt")) | {
        fold(code) for code in listed("codes.txt") if code.isalpha() and len(code) > SHORTEST
    }


@cache
def known_codes() -> frozenset[str]:
    codes = frozenset(listed("codes.txt"))
    return codes | {part for code in codes for part in code.split("_")}


@cache
def listed(name: str, section: str | None = None) -> tuple[str, ...]:
    """The words of a list that ships with this package; with `section` those below [section] alone."""
    words: list[str] = []
    here = ""
    for line in resources.files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            here = line.strip("[]")
        elif not line.startswith("#") and section in (None, here):
            words += line.split()
    return tuple(words)


class Identifiers:
    """What one object says of people: the parts of their names, and their numbers."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._parts: set[str] = set()
        for text in texts:
            for part in re.findall(r"[^\W_]+", fold(text), re.UNICODE):
                if len(part) >= SHORTEST:
                    self._parts.add(part)
            joined = re.sub(r"[\W_]", "", fold(text))
            if len(joined) > SHORTEST:
                self._parts.add(joined)
        digits = {part.lstrip("0") for part in self._parts if part.isdigit() and len(part.lstrip("0")) > SHORTEST}
        self._digits = digits
        self._single = {float(np.float32(part)) for part in digits}

    def has_word(self, word: str) -> bool:
        return fold(word) in self._parts

    def within(self, text: str) -> bool:
        """Whether any part stands in a text, as a word or, when it is long, inside one."""
        folded = fold(text)
        words = set(re.findall(r"[^\W_]+", folded, re.UNICODE))
        return any(part in words or (len(part) > SHORTEST + 1 and part in folded) for part in self._parts)

    def has_number(self, value: object) -> bool:
        """Whether a number is one of theirs: with or without leading zeros, or as near as single precision comes."""
        text = str(value).strip().lstrip("+-0").split(".")[0]
        return text in self._digits or (isinstance(value, float) and value in self._single)


def clean_text(text: str, identifiers: Identifiers) -> str:
    """The words and numbers of a text that may stay, in their order, single spaces between them."""
    for run in _RUNS:
        text = run.sub(" ", text)
    kept = []
    for found in _WORD.finditer(text):
        word = found[0]
        folded = fold(word)
        if (folded in known_words() or _NUMBER.fullmatch(folded)) and not identifiers.has_word(word):
            kept.append(word)
    return " ".join(kept)


def clean_device_text(text: str, identifiers: Identifiers) -> str:
    """A machine's text whole, or nothing where something in it looks like a person's."""
    if set(re.findall(r"[^\W\d_]+", fold(text))) <= set(listed("places.txt", "makers")) and not any(
        map(str.isdigit, text)
    ):
        return text
    return "" if _SUSPECT.search(text) or identifiers.within(text) else text


def is_known_code(value: str, identifiers: Identifiers) -> bool:
    """Whether a code string is one that scanners write: known as a whole, or in all its parts."""
    value = value.strip().upper()
    if not value:
        return True
    if identifiers.within(value) and value not in known_codes():
        return False
    parts = re.split(r"[ _\\/-]+", value)
    return value in known_codes() or all(
        part in known_codes() or fold(part) in known_words() or _NUMBER.fullmatch(fold(part)) for part in parts if part
    )
