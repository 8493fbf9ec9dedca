"""An engine on a GPU answers beside ONNX Runtime on the CPU before it is used."""

from collections.abc import Mapping

import numpy as np

from models.engines import Engine
from models.engines.plans import Profile
from models.errors import MissingEngine


def check_beside(engine: Engine, reference: Engine, profiles: Mapping[str, Profile], tolerance: float) -> None:
    """Ask both about the same noise, the smallest that the network takes.

    Raises:
        MissingEngine: the answers differ by more than the tolerance.
    """
    random = np.random.default_rng(0)
    inputs = {name: random.normal(size=profile.smallest).astype(np.float32) for name, profile in profiles.items()}
    given, expected = engine.run(inputs), reference.run(inputs)
    worst = max(float(np.abs(given[name] - values).max()) for name, values in expected.items())
    if not worst <= tolerance:
        raise MissingEngine(
            f"The answer of {engine.name} differs from ONNX Runtime's on the CPU by {worst:.2g}, and the card allows "
            f"{tolerance:g}: it is not used."
        )
