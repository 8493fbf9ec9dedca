"""Accepted diffusion studies as the AIS network learns them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from models.ais.preprocess import prepare
from models.ais.train.pool import Case
from models.ais.train.pool import make_case as cut_case
from models.ais.train.scanner import DiffusionScan
from models.ais.train.training import Cases, loss_on
from models.card import Card
from models.finetune.labelled import Labelled
from models.registry import Model
from models.training import Loss


def make_case(labelled: Labelled, parent: Model) -> Case:
    """A study in the network's view; what the experts drew outside the brain that was found stays away."""
    dwi = labelled.inputs["DWI"]
    images = prepare(dwi, labelled.inputs["ADC"])
    core = (labelled.labels == parent.card.labels[0].value) & images.brain
    return cut_case(DiffusionScan(dwi, replace(dwi, voxels=images.adc), dwi, core.astype(np.uint8), images.brain))


def loss_of(network: nn.Module, _: Card, pool: Path, size: int) -> Loss:
    """The loss of batches drawn from a pool."""
    return loss_on(network, Cases(pool), size)
