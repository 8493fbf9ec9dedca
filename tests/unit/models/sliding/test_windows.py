"""Windows cover everything, blend to what one look would say, and skip what holds nothing."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sliding.windows import Array, importance, run_windows, starts

EDGES = st.tuples(*[st.integers(1, 20)] * 3)


@settings(max_examples=40, deadline=None)
@given(shape=EDGES, window=EDGES, overlap=st.floats(0, 0.9), batch=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_network_that_sees_voxels_alone_answers_as_if_at_once(
    shape: tuple[int, int, int], window: tuple[int, int, int], overlap: float, batch: int, seed: int
) -> None:
    image = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    calls: list[int] = []

    def network(windows: Array) -> Array:
        assert windows.shape[2:] == window
        calls.append(len(windows))
        return np.stack([windows[:, 0] - windows[:, 1], 2 * windows[:, 0], windows[:, 1]], axis=1)

    answers, covered = run_windows(image, network, window=window, overlap=overlap, batch=batch)
    assert covered.all()
    np.testing.assert_allclose(answers, [image[0] - image[1], 2 * image[0], image[1]], atol=1e-4)
    assert max(calls) <= batch


@given(size=st.integers(1, 200), window=st.integers(1, 64), overlap=st.floats(0, 0.9))
def test_windows_along_an_axis_begin_at_its_start_and_end_at_its_end(size: int, window: int, overlap: float) -> None:
    size = max(size, window)
    found = starts(size, window, overlap)
    assert (found[0], found[-1]) == (0, size - window)
    assert all(0 < b - a <= max(1, round(window * (1 - overlap)) + 1) for a, b in pairwise(found))


def test_the_middle_of_a_window_counts_most_and_its_rim_something() -> None:
    weight = importance((9, 9, 9))
    assert weight[4, 4, 4] == weight.max() == 1
    assert 0 < weight[0, 0, 0] == weight.min() < 0.01
    np.testing.assert_array_equal(weight, np.flip(weight))


def test_a_window_that_holds_nothing_is_not_looked_at() -> None:
    image = np.ones((1, 8, 8, 32), np.float32)
    occupied = np.zeros(image.shape[1:], np.bool_)
    occupied[:, :, 2] = True
    seen: list[int] = []

    def network(windows: Array) -> Array:
        seen.append(len(windows))
        return windows

    answers, covered = run_windows(image, network, window=(8, 8, 8), overlap=0, occupied=occupied)
    assert sum(seen) == 1
    assert covered[..., :8].all()
    assert not covered[..., 8:].any()
    assert (answers[0] == covered).all()
    none, covered = run_windows(image, network, window=(8, 8, 8), occupied=np.zeros_like(occupied))
    assert none.shape == (0, 8, 8, 32)
    assert not covered.any()


@pytest.mark.parametrize(("mirror", "calls"), [((), 1), ((0,), 2), ((0, 2), 4), ((0, 1, 2), 8)])
def test_mirrored_answers_are_turned_back_and_averaged(mirror: tuple[int, ...], calls: int) -> None:
    asked: list[int] = []

    def network(windows: Array) -> Array:
        asked.append(1)
        ramp = np.arange(6, dtype=np.float32)
        return windows + ramp  # adds more to what lies to the right: a bias that mirroring takes away

    image = np.random.default_rng(0).normal(size=(1, 6, 6, 6)).astype(np.float32)
    answers, _ = run_windows(image, network, window=(6, 6, 6), mirror=mirror)
    assert len(asked) == calls
    expected = image + (2.5 if 2 in mirror else np.arange(6))
    np.testing.assert_allclose(answers, expected, atol=1e-5)
