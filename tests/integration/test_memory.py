"""The engines' real memory errors: where a process may not have more, a batch is answered in parts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.tiny_network import write_hungry_network, write_threshold_network

STARVED = """
import resource, sys
from functools import partial
from pathlib import Path
import numpy as np
from models.engines import open_engine
from models.engines.steady import SteadyEngine

open_with = partial(open_engine, Path(sys.argv[1]), threads=1)
engine = SteadyEngine(open_with, "onnxruntime", {"slices": (1, 3, 64, 64)})
slices = np.random.default_rng(0).random((512, 3, 64, 64), np.float32)
with open("/proc/self/status") as status:
    size = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
unlimited = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (size + 350 * 2**20, unlimited[1]))
answer = engine.run({"slices": slices})["logits"]
resource.setrlimit(resource.RLIMIT_AS, unlimited)
assert len(answer) == 512
expected = open_with(engine="onnxruntime").run({"slices": slices[-2:]})["logits"]
np.testing.assert_allclose(answer[-2:], expected, rtol=1e-4)
print(engine.remark)
"""


REFUSED = """
import resource, sys
from pathlib import Path
import numpy as np
from models.engines import open_engine
from models.errors import OutOfMemory

engine = open_engine(Path(sys.argv[1]), threads=1, engine=sys.argv[2])
slices = np.zeros((256, 3, 256, 256), np.float32)
engine.run({"slices": slices[:1]})
with open("/proc/self/status") as status:
    size = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + 200 * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))
try:
    engine.run({"slices": slices})
except OutOfMemory as error:
    print(error)
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[2], env=os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("engine", "name"), [("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")])
def test_an_engines_own_memory_error_is_told_from_others(tmp_path: Path, engine: str, name: str) -> None:
    network = write_threshold_network(tmp_path / "tiny.onnx", size=256)
    assert run(REFUSED, str(network), engine) == f"{name} had not enough memory to run the network.\n"


def test_a_batch_that_does_not_fit_is_answered_in_parts(tmp_path: Path) -> None:
    network = write_hungry_network(tmp_path / "hungry.onnx", size=64)
    said = run(STARVED, str(network))
    assert said.startswith("ONNX Runtime had not enough memory to run the network. It answered with ")
