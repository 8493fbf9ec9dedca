"""The simulation against what queueing theory knows by formula, and against what must hold of any queue."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.capacity.queueing import erlang_c, mean_wait_s, servers_for, wait_percentile_s
from services.capacity.simulation import DELAY, Job, Visit, simulate

JOBS = 40_000


def exponential_jobs(load: float, seed: int) -> list[Job]:
    """Poisson arrivals at `load` a second, exponential work of 1 s on average."""
    rng = np.random.default_rng(seed)
    at = np.cumsum(rng.exponential(1 / load, JOBS))
    work = rng.exponential(1.0, JOBS)
    return [Job(a, (Visit(0, w),)) for a, w in zip(at.tolist(), work.tolist(), strict=True)]


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.5), (1, 0.7), (2, 0.75), (4, 0.8), (16, 0.9)])
def test_waits_are_those_of_an_mmc_queue(servers: int, busy: float) -> None:
    load = servers * busy
    jobs = exponential_jobs(load, seed=servers)
    ended = simulate([servers], jobs)
    waits = np.array([ends[0] - job.at_s - job.visits[0].work_s for job, ends in zip(jobs, ended, strict=True)])
    # Waits of neighbours are alike, so the mean of 40,000 is known to about a tenth at these loads.
    assert waits.mean() == pytest.approx(mean_wait_s(servers, load, 1.0), rel=0.2)
    assert (waits > 1e-9).mean() == pytest.approx(erlang_c(servers, load), rel=0.1)
    assert np.percentile(waits, 95) == pytest.approx(wait_percentile_s(servers, load, 1.0, 0.95), rel=0.2, abs=0.1)


def test_a_shared_machine_is_a_processor_sharing_queue() -> None:
    """M/M/1 processor sharing: mean time in the system is 1 / (1 - load), however the work is spread."""
    jobs = exponential_jobs(0.6, seed=5)
    ended = simulate([JOBS], jobs, cores=1.0)
    taken = [ends[0] - job.at_s for job, ends in zip(jobs, ended, strict=True)]
    assert np.mean(taken) == pytest.approx(1 / (1 - 0.6), rel=0.15)


works = st.floats(0.01, 5.0)


@given(
    servers=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    steps=st.lists(
        st.tuples(st.floats(0, 20), st.lists(st.tuples(st.integers(-1, 2), works), max_size=5)), max_size=20
    ),
    cores=st.one_of(st.just(math.inf), st.floats(0.5, 4)),
)
@example(servers=[1], steps=[(0.0, [(0, 1.0)]), (0.0, [(0, 1.0)])], cores=0.5)
def test_of_any_queue(servers: list[int], steps: list[tuple[float, list[tuple[int, float]]]], cores: float) -> None:
    """Every visit ends, in order, no sooner than its work takes, and no more run at once than there are servers."""
    jobs = [
        Job(at, tuple(Visit(DELAY if station < 0 else station % len(servers), work) for station, work in visits))
        for at, visits in steps
    ]
    ended = simulate(servers, jobs, cores)
    spans: list[list[tuple[float, float]]] = [[] for _ in servers]
    for job, ends in zip(jobs, ended, strict=True):
        assert len(ends) == len(job.visits)
        before = job.at_s
        for visit, at in zip(job.visits, ends, strict=True):
            assert at >= before + visit.work_s - 1e-6
            if visit.station != DELAY:
                spans[visit.station].append((at - visit.work_s, at))
            before = at
    for count, station in zip(servers, spans, strict=True):
        # The last instants of a visit's work are served in any case: how many of them overlap is a lower bound.
        assert all(sum(start + 1e-6 < end < last for start, last in station) <= count for _, end in station)


@given(st.integers(1, 400), st.floats(0.01, 0.99))
def test_more_servers_never_wait_longer(servers: int, busy: float) -> None:
    load = servers * busy
    assert 0 <= erlang_c(servers + 1, load) <= erlang_c(servers, load) <= 1
    assert mean_wait_s(servers + 1, load, 1.0) <= mean_wait_s(servers, load, 1.0)


def test_one_server_by_the_textbook() -> None:
    assert erlang_c(1, 0.5) == pytest.approx(0.5)
    assert mean_wait_s(1, 0.5, 2.0) == pytest.approx(2.0)  # load / (1 - load) * service
    assert mean_wait_s(2, 2.0, 1.0) == math.inf
    assert wait_percentile_s(1, 0.5, 2.0, 0.5) == 0.0


@given(st.floats(0.001, 300), st.floats(0.1, 10), st.floats(0.01, 100))
def test_the_fewest_servers_are_enough_and_one_less_is_not(load: float, service_s: float, wait_s: float) -> None:
    servers = servers_for(load, service_s, wait_s, 0.95)
    assert wait_percentile_s(servers, load, service_s, 0.95) <= wait_s
    assert servers == math.floor(load) + 1 or wait_percentile_s(servers - 1, load, service_s, 0.95) > wait_s
