"""When studies arrive: a hospital's day with its peaks and its night, a Poisson process whose rate changes by hour."""

import numpy as np
from numpy.typing import NDArray

HOUR_S = 3600.0
_WEIGHTS = (
    1.6, 1.3, 1.1, 1.0, 1.0, 1.3, 2.2, 4.0, 6.4, 7.6, 8.0, 7.6,
    6.4, 6.6, 7.2, 7.2, 6.6, 5.6, 4.6, 4.0, 3.4, 2.8, 2.2, 1.9,
)  # fmt: skip
SHARES: tuple[float, ...] = tuple(weight / sum(_WEIGHTS) for weight in _WEIGHTS)
"""Of a day's studies, by hour from midnight: a morning peak, a smaller one after noon, a twentieth of them by night."""
BUSIEST_HOUR = SHARES.index(max(SHARES))


def studies_per_s(studies_per_day: float, hour: int) -> float:
    """The rate in the hour that begins at `hour` o'clock."""
    return studies_per_day * SHARES[hour % 24] / HOUR_S


def arrivals(
    studies_per_day: float, start_h: float, duration_s: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Times of arrival, ascending, in seconds from `start_h`.

    Args:
        start_h: hours since midnight; the day begins anew after 24.
    """
    found: list[NDArray[np.float64]] = []
    at_s = 0.0
    while at_s < duration_s:
        hour = (start_h * HOUR_S + at_s) / HOUR_S
        until_s = min(duration_s, at_s + (np.floor(hour + 1e-9) + 1 - hour) * HOUR_S)
        number = rng.poisson(studies_per_s(studies_per_day, int(np.floor(hour + 1e-9))) * (until_s - at_s))
        found.append(rng.uniform(at_s, until_s, number))
        at_s = until_s
    return np.sort(np.concatenate(found)) if found else np.empty(0)
