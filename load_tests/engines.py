"""Seconds of a batch of every network in OpenVINO, in ONNX Runtime and in torch, by turns in one process."""

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import nn

from load_tests.record import Figure
from models.ais.train.training import new_pair
from models.engines import EngineChoice, open_engine
from models.engines.onnx_runtime import tensor_shapes
from models.enhance.train.network import DetailNet
from models.ich.train.network import new_committee
from models.registry import load_card, weights_of
from models.tumour.train.training import new_both

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ich": new_committee,
    "ais": new_pair,
    "tumour": new_both,
    "enhance": DetailNet,
}
"""The architectures as they were trained; torch takes as long whatever the weights are."""
ENGINES: tuple[EngineChoice, ...] = ("openvino", "onnxruntime")
FREE_AXIS = 256


def measure_engines(threads: int, *, quick: bool) -> tuple[list[Figure], str]:
    """A batch of the card's size through each engine."""
    torch.set_num_threads(threads)
    figures = []
    for name, build in NETWORKS.items():
        card = load_card(name)
        [(given, shape)] = tensor_shapes(weights_of(card))[0].items()
        batch = np.random.default_rng(0).random((card.batch, *(size or FREE_AXIS for size in shape[1:])), np.float32)
        ways: dict[str, Callable[[], object]] = {}
        for engine in ENGINES:
            opened = open_engine(weights_of(card), threads=threads, engine=engine)
            ways[engine] = partial(opened.run, {given: batch})
        network = build().eval()
        ways["torch eager"] = partial(_eager, network, batch)
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(2 if quick else 8):
            for way, run in ways.items():
                taken[way].append(_seconds(run))
        seconds = {way: median(values[1:]) for way, values in taken.items()}
        what = " x ".join(map(str, batch.shape))
        figures += [Figure(f"{name}, {what}: {way}", value, "s") for way, value in seconds.items()]
        figures += [
            Figure(f"{name}, {what}: {way} to torch eager", seconds[way] / seconds["torch eager"], "x")
            for way in ENGINES
        ]
    return figures, f"Engines: one batch of each card, float32, {threads} CPU threads, by turns in one process."


def _eager(network: nn.Module, batch: np.ndarray) -> object:
    with torch.inference_mode():
        return network(torch.from_numpy(batch))


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started
