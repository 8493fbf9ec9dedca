"""Every committed model on every engine of this machine, from volumes to findings: the same marks and volumes."""

from dataclasses import replace
from pathlib import Path

import pytest

from load_tests import parity
from models.engines import open_engine
from models.engines.available import list_engines
from models.engines.half import in_half
from models.registry import list_models, load_card, weights_of


def test_every_committed_network_has_a_study() -> None:
    assert set(parity.STUDIES) == {card.name for card in list_models()}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@pytest.mark.parametrize("model", parity.STUDIES)
def test_engines_and_float16_find_the_same(model: str, scratch: Path) -> None:
    card, inputs = load_card(model), parity.study(model, scratch, matrix=160)
    weights = weights_of(card)
    expected = parity.ask(model, open_engine(weights, threads=2, engine=parity.REFERENCE), inputs)
    assert expected.prediction.findings or expected.prediction.image is not None
    for entry in list_engines():
        if entry.why_not is None and entry.name != parity.REFERENCE:
            engine = open_engine(weights, threads=2, engine=entry.name, terms=replace(card.terms, half_tolerance=None))
            found = parity.compare(parity.ask(model, engine, inputs), expected)
            assert found.within, entry.name
            assert found.logit <= card.tolerance, entry.name
    half = scratch / f"{model}-half.onnx"
    half.write_bytes(parity.rounded(in_half(weights.read_bytes())))
    found = parity.compare(parity.ask(model, open_engine(half, threads=2, engine=parity.REFERENCE), inputs), expected)
    assert found.logit > 0
    if card.half_tolerance is not None:  # without one, GPUs run it in float32
        assert found.within
        assert found.logit <= card.half_tolerance
