"""TensorRT for RTX as far as it goes without a GPU: it reads and compiles every committed network, ahead of time.

The last test needs a GPU.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from support.compiling import compile_content, compile_tiny, compile_twice, furthest_from_onnx_runtime

from models.errors import InvalidCard, MissingEngine
from models.registry import list_models, weights_of

NETWORKS = [card.name for card in list_models() if weights_of(card).suffix == ".onnx"]


@pytest.fixture(scope="module")
def apart() -> Iterator[ProcessPoolExecutor]:
    """A process that has TensorRT."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("capability", ["8.9", "12.0"])
@pytest.mark.parametrize("model", NETWORKS)
def test_every_committed_network_is_compiled_with_its_cards_profile(
    model: str, capability: str, precision: str, apart: ProcessPoolExecutor, tmp_path: Path
) -> None:
    built, kept, share = apart.submit(compile_twice, model, capability, precision, tmp_path).result()
    assert (built, kept) == (1, True)
    assert share > 1 / 4


def test_what_is_no_network_is_refused(apart: ProcessPoolExecutor) -> None:
    with pytest.raises(InvalidCard, match="TensorRT cannot read the network"):
        apart.submit(compile_content, b"no network").result()


def test_a_gpu_that_cannot_be_built_for_from_here_is_named(apart: ProcessPoolExecutor, tmp_path: Path) -> None:
    with pytest.raises(MissingEngine, match=r"ahead of time for compute capability 9\.0"):
        apart.submit(compile_tiny, "9.0", tmp_path).result()


@pytest.mark.parametrize("model", NETWORKS)
def test_on_a_gpu_the_answer_is_onnx_runtimes(model: str, apart: ProcessPoolExecutor, tmp_path: Path) -> None:
    try:
        furthest = apart.submit(furthest_from_onnx_runtime, model, tmp_path).result()
    except MissingEngine as error:
        pytest.skip(str(error))
    assert furthest <= 1
