"""What there is to learn from: studies with the masks that experts accepted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.volume import Volume


@dataclass(frozen=True, eq=False)
class Labelled:
    """A study.

    Attributes:
        inputs: by role.
        labels: uint8 (slice, row, column) on the first input's grid, values of the model's card.
    """

    inputs: Mapping[str, Volume]
    labels: NDArray[np.uint8]


Read = Callable[[], Labelled]
"""Reads a study: a release may be larger than the memory."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """A release as a model learns from it.

    Attributes:
        name, digest: of the release; the digest is of its release.json, which has one of every other file.
        train: what is learned from.
        validation: what the new version is held against its parent on. The test split is nobody's here.
    """

    name: str
    digest: str
    train: tuple[Read, ...]
    validation: tuple[Read, ...]
