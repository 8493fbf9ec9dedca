"""The language of the moment, and looking messages up in it.

It belongs to the request, or to whatever runs within `speaking`; elsewhere it is English.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from services.languages.catalogues import ENGLISH, Language, languages

_tag: ContextVar[str] = ContextVar("nightjar_language", default=ENGLISH)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Everything within is said in this language; threads that a request starts inherit it."""
    token = _tag.set(language.tag)
    try:
        yield
    finally:
        _tag.reset(token)


def current() -> Language:
    return languages()[_tag.get()]


def mark(message: str) -> str:
    """The message itself; says that it is one, for constants that are looked up where they are shown."""
    return message


def gettext(message: str, **values: object) -> str:
    """A message in the language of the moment, with its values put in."""
    return look_up(message) % values


def ngettext(singular: str, plural: str, num: int, **values: object) -> str:
    """The same for a number of things; `num` is one of the values."""
    return look_up_number(singular, plural, num) % {"num": num, **values}


def look_up(message: str) -> str:
    """The translation with its placeholders as they are."""
    return current().translations.gettext(message) if message else ""


def look_up_number(singular: str, plural: str, num: int) -> str:
    return current().translations.ngettext(singular, plural, num)
