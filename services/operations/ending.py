"""A process that runs until somebody asks it to end."""

import signal
import threading

LOOK_S = 1.0


class AskedToEnd:
    """SIGTERM and SIGINT, from the moment this is made; only the main thread can make one."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._asked.set())

    def wait(self) -> None:
        """Return once the process was asked."""
        # Python runs the handler when this thread runs next: a wait without a limit would sleep through a signal that
        # comes just before it, or that another thread gets.
        while not self._asked.wait(LOOK_S):
            pass
