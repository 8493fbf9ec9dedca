"""Processes that a test started."""

import os
import signal
from contextlib import suppress

from services.processes import family


def kill_all(pid: int) -> None:
    """Kill a process with everything it started, as a machine does that goes dark."""
    for each in family(pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
