"""Who hangs is told by silence and idleness, whatever any clock says, and never while the ledger is away."""

from datetime import UTC, datetime, timedelta

import pytest

from services.supervision import IDLE_S, SILENT_BUSY_S, SILENT_S, Pulse, hangs

PID = 2**22 + 1
"""No process has it, so its CPU never moves: it is idle."""
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("silent_s", "idle_s", "hanging"),
    [
        (SILENT_S - 0.1, 100.0, False),
        (SILENT_S + 0.1, IDLE_S + 0.1, True),
        (SILENT_S + 0.1, IDLE_S - 0.1, False),  # slow, not hung: it works
        (SILENT_BUSY_S + 0.1, 0.0, True),  # busy with nothing for two minutes
    ],
)
def test_silent_and_idle_is_hung_silent_and_busy_only_later(silent_s: float, idle_s: float, hanging: bool) -> None:
    assert hangs(silent_s, idle_s) is hanging


def look(pulse: Pulse, clock: Clock, seconds: int, beat: datetime | None, *, every_s: int = 2) -> datetime | None:
    """The ledger answers every second; the part beats every `every_s`, or not at all."""
    for second in range(seconds):
        clock.now += 1
        if beat is not None and second % every_s == 0:
            beat += timedelta(seconds=every_s)
        pulse._look([] if beat is None else [{"instance": f"host:{PID}", "at": beat}])
        pulse.part_hangs(PID)
    return beat


def begun(clock: Clock) -> tuple[Pulse, datetime | None]:
    pulse = Pulse("postgresql://nowhere", clock)
    pulse._look([])
    return pulse, look(pulse, clock, 20, NOON)


def test_a_part_that_falls_silent_is_found_within_ten_seconds() -> None:
    clock = Clock()
    pulse, beat = begun(clock)
    assert pulse.has_beaten(PID)
    assert not pulse.part_hangs(PID)
    for _ in range(10):
        clock.now += 1
        pulse._look([{"instance": f"host:{PID}", "at": beat}])
    assert pulse.part_hangs(PID)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_makes_nobody_look_dead(jump: timedelta) -> None:
    clock = Clock()
    pulse, beat = begun(clock)
    assert beat is not None
    beat = look(pulse, clock, 20, beat + jump)
    assert not pulse.part_hangs(PID)


def test_nobody_hangs_while_the_ledger_is_away_nor_right_after() -> None:
    clock = Clock()
    pulse, beat = begun(clock)
    clock.now += 300
    assert not pulse.part_hangs(PID)
    pulse._look([{"instance": f"host:{PID}", "at": beat}])  # back, and the part has not had time to beat
    assert not pulse.part_hangs(PID)


def test_a_part_that_still_starts_and_rows_of_an_earlier_life_mean_nothing() -> None:
    clock = Clock()
    pulse = Pulse("postgresql://nowhere", clock)
    left = [{"instance": f"host:{PID}", "at": NOON}]
    for _ in range(100):
        clock.now += 1
        pulse._look(left)
    assert not pulse.has_beaten(PID)
    assert not pulse.part_hangs(PID)
