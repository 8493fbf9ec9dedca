"""What cannot be made safe is held back, with a sentence that says why."""

from services.errors import Reject


class Hold(Reject):
    """This object, series or study does not leave. The message says why, without patient data."""
