"""A process that is asked to end does, whichever of its threads the signal reaches and whenever."""

import subprocess
import sys

import pytest

WAITS = """
import signal, threading, time
from services.operations.ending import AskedToEnd

asked = AskedToEnd()

def reach():
    time.sleep({after})
    signal.pthread_kill(threading.get_ident(), signal.{name})

threading.Thread(target=reach).start()
time.sleep(0.3)
asked.wait()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("after", [0.0, 0.8])
def test_a_signal_that_another_thread_gets_ends_the_process(name: str, after: float) -> None:
    subprocess.run([sys.executable, "-c", WAITS.format(name=name, after=after)], check=True, timeout=60)
