"""What is known by formula of a queue with several servers (M/M/c): the model's start, and its test."""

import math


def erlang_c(servers: int, load: float) -> float:
    """Probability that an arrival waits, in [0, 1].

    Args:
        load: arrivals a second times mean service time, in servers' worth of work; at `servers` or above all wait.
    """
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang B by recursion, which stays within [0, 1] however many servers there are
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def mean_wait_s(servers: int, load: float, service_s: float) -> float:
    """Mean time in the queue, service not included; infinite where the queue grows without end."""
    return math.inf if load >= servers else erlang_c(servers, load) * service_s / (servers - load)


def wait_percentile_s(servers: int, load: float, service_s: float, share: float) -> float:
    """The wait that `share` of arrivals (0 to 1) do not exceed; first come, first served."""
    if load >= servers:
        return math.inf
    waiting = erlang_c(servers, load)
    return 0.0 if waiting <= 1 - share else service_s / (servers - load) * math.log(waiting / (1 - share))


def servers_for(load: float, service_s: float, wait_s: float, share: float) -> int:
    """The fewest servers with which `share` of arrivals wait for no longer than `wait_s`."""
    servers = math.floor(load) + 1
    while wait_percentile_s(servers, load, service_s, share) > wait_s:
        servers += 1
    return servers
