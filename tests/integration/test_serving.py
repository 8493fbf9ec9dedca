"""Real Ray and real weights: answers are the bare model's, verdicts survive the way back, a dead replica comes back."""

import os
import re
import resource
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from support.heads import small_head, stacked

from models.registry import load_model
from models.volume import Volume
from services import processes
from services.errors import Reject, Retry
from services.settings import InferenceSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference.deployment import NICEST, ModelServer

pytestmark = [
    pytest.mark.timeout(300),
    # Ray leaves sockets and files to the collector; what it starts is looked at in test_embedded.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
PATIENCE_S = 90.0


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    # Not what `auto` would be: the setting must reach the replica.
    server = ModelServer(InferenceSettings(models=("ich", "enhance"), engine="onnxruntime", timeout_s=60.0))
    server.start()
    yield server
    server.stop()


def head() -> dict[str, Volume]:
    return {"NCCT": small_head(("IPH", 60.0)).volume}


def replicas() -> list[int]:
    """Process ids of this session's replicas of `ich`, among the descendants of this process."""
    return processes.replicas(os.getpid(), "ich")


def niceness(model: str) -> set[int]:
    """Of all threads of a model's replica."""
    [replica], found = processes.replicas(os.getpid(), model), set()
    for task in Path(f"/proc/{replica}/task").iterdir():
        with suppress(ProcessLookupError):  # it has just ended
            found.add(os.getpriority(os.PRIO_PROCESS, int(task.name)))
    return found


def _cpu_s(pid: int) -> float:
    return processes.cpu_s(pid) or 0.0


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_bleed_has_the_processor_before_an_enhancement(server: ModelServer) -> None:
    assert max(niceness("enhance")) == max(niceness("ich")) + NICEST


def analyse_until_answered(server: ModelServer) -> int:
    """Ask again whenever the verdict is to; how often it was."""
    for retries in range(10):
        try:
            server.analyse("ich", head())
        except Retry:
            time.sleep(0.5)
        else:
            return retries
    raise AssertionError("no answer")


def test_an_answer_is_the_bare_models(server: ModelServer) -> None:
    served = server.analyse("ich", head())
    bare = load_model("ich", engine="onnxruntime").predict(head())
    assert re.fullmatch(r"onnxruntime [\d.]+ float32", str(served.prediction.parameters["engine"]))
    assert served.prediction.parameters["Nightjar"] == version("nightjar")
    np.testing.assert_array_equal(served.prediction.segmentation, bare.segmentation)
    assert served.prediction.findings == bare.findings
    assert served.prediction.model == bare.model
    assert served.prediction.probabilities == bare.probabilities
    for label, values in bare.slice_probabilities.items():
        np.testing.assert_array_equal(served.prediction.slice_probabilities[label], values)
    assert served.preview.startswith(b"\x89PNG")
    assert server.healthy()


def test_what_can_never_be_analysed_is_rejected_in_one_sentence(server: ModelServer) -> None:
    with pytest.raises(Reject) as missing:
        server.analyse("ich", {"CTA": head()["NCCT"]})
    assert str(missing.value) == "ich needs an input of role NCCT."
    air = replace(head()["NCCT"], voxels=np.full((14, 128, 128), -1000, np.float32))
    with pytest.raises(Reject) as invalid:
        server.analyse("ich", {"NCCT": air})
    assert str(invalid.value) == "There is no tissue in these slices."


def test_a_replica_killed_before_a_call_comes_back(server: ModelServer) -> None:
    server.analyse("ich", head())
    [pid] = replicas()
    os.kill(pid, signal.SIGKILL)
    analyse_until_answered(server)
    [again] = replicas()
    assert again != pid
    until(server.healthy)


def test_a_replica_killed_during_a_call_is_a_retry_and_comes_back(server: ModelServer) -> None:
    analyse_until_answered(server)
    [pid] = replicas()
    before = _cpu_s(pid)
    large = stacked(head()["NCCT"], 8, wide=4)

    def kill_at_work() -> None:
        until(lambda: _cpu_s(pid) > before + 0.5)
        os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_at_work)
    killer.start()
    with pytest.raises(Retry) as caught:
        server.analyse("ich", {"NCCT": large})
    killer.join()
    assert str(caught.value).startswith("The replica of ich failed (")
    analyse_until_answered(server)
    assert replicas() != [pid]
    until(server.healthy)


def test_a_replica_that_hangs_is_replaced(server: ModelServer) -> None:
    analyse_until_answered(server)
    [pid] = replicas()
    os.kill(pid, signal.SIGSTOP)
    until(lambda: pid not in replicas())
    analyse_until_answered(server)
    assert replicas() != [pid]
    until(server.healthy)


def test_a_replica_out_of_memory_ends_itself_and_another_takes_its_place(server: ModelServer) -> None:
    analyse_until_answered(server)
    [pid] = replicas()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 64 * 2**20
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    with pytest.raises(Retry, match="not enough memory"):
        server.analyse("ich", {"NCCT": stacked(head()["NCCT"], 8, wide=4)})
    until(lambda: pid not in replicas())
    analyse_until_answered(server)
