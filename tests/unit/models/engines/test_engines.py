"""Every engine runs what it is given with the same answer, or says that it could not, in this package's errors."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.tiny_network import write_threshold_network

from models.engines import Engine, EngineChoice, open_engine
from models.errors import EngineFailure, InvalidCard, MissingEngine
from models.registry import FOLDER, load_card

ENGINES: tuple[EngineChoice, ...] = ("onnxruntime", "openvino")


@pytest.fixture(params=ENGINES)
def choice(request: pytest.FixtureRequest) -> EngineChoice:
    chosen: EngineChoice = request.param
    return chosen


@pytest.fixture
def engine(tmp_path: Path, choice: EngineChoice) -> Engine:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8, above=0.5)
    return open_engine(network, threads=1, engine=choice)


def test_outputs_come_by_name_for_any_batch(engine: Engine, choice: EngineChoice) -> None:
    for batch in (1, 3, 64, 2):
        slices = np.random.default_rng(0).random((batch, 3, 8, 8)).astype(np.float32)
        before = slices.copy()
        answer = engine.run({"slices": slices})
        assert list(answer) == ["logits"]
        assert answer["logits"].dtype == np.float32
        assert np.allclose(answer["logits"][:, 1], 20 * (slices[:, 1] - 0.5), atol=1e-4)
        assert np.array_equal(slices, before)
    assert engine.name.startswith(f"{choice} ")


@pytest.mark.parametrize(
    "inputs",
    [
        {"slices": np.zeros((1, 3, 9, 8), np.float32)},
        {"slices": np.zeros((3, 8, 8), np.float32)},
        {"slices": np.zeros((1, 3, 8, 8), np.float64)},
        {"images": np.zeros((1, 3, 8, 8), np.float32)},
        {},
    ],
    ids=["size", "axes", "type", "name", "nothing"],
)
def test_inputs_that_do_not_fit_fail_in_our_words(engine: Engine, inputs: dict[str, np.ndarray]) -> None:
    engine.run({"slices": np.ones((1, 3, 8, 8), np.float32)})  # must not be what the next answer is made from
    with pytest.raises(EngineFailure, match="could not run the network"):
        engine.run(inputs)


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x08" + bytes(64)])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, choice: EngineChoice, content: bytes) -> None:
    (tmp_path / "weights.onnx").write_bytes(content)
    with pytest.raises(InvalidCard, match=r"weights\.onnx is not a network"):
        open_engine(tmp_path / "weights.onnx", threads=1, engine=choice)


def test_a_truncated_network_is_named(tmp_path: Path, choice: EngineChoice) -> None:
    whole = write_threshold_network(tmp_path / "tiny.onnx", size=8).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidCard, match=r"cut\.onnx is not a network"):
        open_engine(tmp_path / "cut.onnx", threads=1, engine=choice)


def test_an_earlier_answer_is_not_written_over(engine: Engine) -> None:
    first = engine.run({"slices": np.ones((2, 3, 8, 8), np.float32)})["logits"]
    kept = first.copy()
    engine.run({"slices": np.zeros((2, 3, 8, 8), np.float32)})
    assert np.array_equal(first, kept)


def test_threads_that_share_an_engine_get_their_own_answers(engine: Engine) -> None:
    def bright(value: float) -> float:
        answer = engine.run({"slices": np.full((4, 3, 8, 8), value, np.float32)})
        return float(answer["logits"][:, 1].mean())

    values = [k / 50 for k in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(bright, values)) == pytest.approx([20 * (value - 0.5) for value in values], abs=1e-3)


def test_both_engines_give_the_shipped_network_the_same_answer() -> None:
    """Where the processor has bfloat16 and OpenVINO was left to use it, they would differ by a hundred tolerances."""
    card = load_card("ich")
    one, other = (open_engine(FOLDER / "ich" / card.weights.file, threads=2, engine=engine) for engine in ENGINES)
    random = np.random.default_rng(5)
    size = card.preprocess.size
    for batch in (card.batch, 1, 5):
        shape = (batch, len(card.preprocess.neighbours), size, size)
        slices = random.normal(size=shape).astype(np.float32)
        slices[:, :, : size // 3] = -1.0  # air, as around every head
        given, expected = other.run({"slices": slices}), one.run({"slices": slices})
        assert given.keys() == expected.keys()
        for name, values in expected.items():
            assert np.abs(given[name] - values).max() < card.tolerance


_WATCHED = """
import sys
from pathlib import Path
import numpy as np

seen = []

def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append(("writes", str(arguments[0])))
    elif event.startswith(("socket.", "subprocess.", "os.fork", "os.posix_spawn", "os.mkdir")):
        seen.append((event, ""))

sys.dont_write_bytecode = True
sys.addaudithook(watch)
from models.engines import open_engine

engine = open_engine(Path(sys.argv[1]), threads=1, engine=sys.argv[2])
engine.run({"slices": np.zeros((2, 3, 8, 8), np.float32)})
assert seen == [], seen
"""


def test_an_engine_calls_nobody_and_writes_nothing(tmp_path: Path, choice: EngineChoice) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8)
    home = tmp_path / "home"
    home.mkdir()
    places = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    environment = {key: value for key, value in os.environ.items() if key != "CI"} | places
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(network), choice],
        cwd=home,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[4])},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []


_COUNTED = """
import os, sys
from pathlib import Path
import numpy as np
from models.engines import open_engine

engine = open_engine(Path(sys.argv[1]), threads=int(sys.argv[3]), engine=sys.argv[2])
for _ in range(3):
    engine.run({"slices": np.zeros((8, 3, 64, 64), np.float32)})
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core: an engine takes one thread anyway")
def test_an_engine_takes_the_threads_it_is_given(tmp_path: Path, choice: EngineChoice) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=64)
    one, two = (
        int(
            subprocess.run(
                [sys.executable, "-c", _COUNTED, str(network), choice, str(threads)],
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                cwd=Path(__file__).parents[4],
                check=True,
                capture_output=True,
                text=True,
                timeout=120,
            ).stdout
        )
        for threads in (1, 2)
    )
    assert two - one == 1


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "models.engines.openvino", raising=False)


_OPENED_AND_FREED = """
import gc, os, signal, sys
from pathlib import Path
from models.engines import open_engine

first, second = (open_engine(Path(sys.argv[1]), threads=1, engine=sys.argv[2]) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGUSR1, lambda *_: None)
os.kill(os.getpid(), signal.SIGUSR1)
print("alive")
"""


def test_a_process_that_freed_its_engines_still_takes_signals(tmp_path: Path, choice: EngineChoice) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8, above=0.5)
    command = [sys.executable, "-c", _OPENED_AND_FREED, str(network), choice]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr


@pytest.mark.usefixtures("without_openvino")
def test_without_openvino_auto_is_onnx_runtime_and_a_wish_is_refused(tmp_path: Path) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8)
    assert open_engine(network, threads=1).name.startswith("onnxruntime ")
    with pytest.raises(MissingEngine, match=r"OpenVINO cannot be loaded here\. Install it, or choose"):
        open_engine(network, threads=1, engine="openvino")


def test_with_openvino_auto_is_openvino(tmp_path: Path) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=8)
    assert open_engine(network, threads=1).name.startswith("openvino ")
