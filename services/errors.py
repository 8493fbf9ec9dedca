"""Verdicts. Every error raised on purpose says what happens next; messages are sentences without patient data.

NightjarError
|-- SettingsError    the configuration is wrong: fix it and start again (exit code 2)
|-- Retry            the same work may succeed later
|   |-- Interrupted  the part that did it was asked to end
|   `-- StoreAway    the byte store does not answer
|       `-- StoreRefuses  it answers, and does not let us
`-- Reject           it never will: the work ends in its named failed or parked state
"""


class NightjarError(Exception):
    """Base of everything Nightjar's services raise on purpose."""


class SettingsError(NightjarError):
    """The configuration cannot be used. The message names each setting and its value."""


class Retry(NightjarError):
    """Something outside failed; the same work may succeed later."""


class Reject(NightjarError):
    """This work can never succeed; trying again would not help."""


class StoreAway(Retry):
    """The byte store does not answer: the site's trouble and no study's, so work is never given up for it."""


class StoreRefuses(StoreAway):
    """The byte store answers, and will not: somebody has to set it right, here or there."""


class Interrupted(Retry):
    """The part was asked to end: nobody's fault, so the work is never given up for it."""
