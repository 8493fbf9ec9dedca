"""Messages in Jinja templates: `{{ _("Claimed by %(name)s", name=row.reader) }}`.

A message may hold markup; the values put in are escaped. Words that are no literal go through a filter, and are
escaped as any text is: `{{ state.value | translated }}` for a constant that was marked, `{{ reason | recorded }}` for a
sentence of the ledger. The test `foreign` tells that a text stayed English in another language's page.
"""

from datetime import UTC

from jinja2 import Environment

from services.languages.catalogues import ENGLISH, languages
from services.languages.formats import format_clock, format_day, format_number, format_time
from services.languages.recorded import say_again
from services.languages.speaking import current, look_up, look_up_number


def install(environment: Environment) -> None:
    """Give an environment `_`, `ngettext`, `language()`, `languages()`, and filters for words, dates and numbers."""
    environment.policies["ext.i18n.trimmed"] = True
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(look_up, look_up_number, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {"language": current, "languages": languages}
    environment.filters |= {
        "day": lambda at: format_day(at.astimezone(UTC)),
        "time": format_time,
        "clock": format_clock,
        "number": format_number,
        "translated": look_up,
        "recorded": say_again,
    }
    environment.tests["foreign"] = _is_foreign


def _is_foreign(text: str) -> bool:
    return current().tag != ENGLISH and look_up(text) == text
