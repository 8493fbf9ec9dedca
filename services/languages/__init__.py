"""What people read, in their language. A leaf: it knows words, dates and numbers, and nothing of what they are about.

English is the source: a message is its own key. `gettext("Claimed by %(name)s", name=...)` looks it up in the language
of the moment; a literal percent sign is written `%%`. `mark("Queued")` only marks a constant, to be looked up where it
is shown. Templates say `_("...")`, scripts import `/static/i18n.js`.
"""

from services.languages.catalogues import Language, find_language, languages
from services.languages.speaking import current, gettext, mark, ngettext, speaking

__all__ = ["Language", "current", "find_language", "gettext", "languages", "mark", "ngettext", "speaking"]
