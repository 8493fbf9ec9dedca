"""A more urgent request goes first between two tiles; the dead, the patient and the idle hold nobody up."""

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from models.engines.turns import Turns, _Place, step_aside

LONG_S = 60.0


class Tiles:
    """A request of some tiles in a thread; `log` says which tiles ran in which order."""

    def __init__(self, turns: Turns, log: list[str], name: str, priority: int, needs: int = 2, tiles: int = 3) -> None:
        self.may_start, self.started = threading.Event(), threading.Event()
        self._arguments = (turns, log, name, priority, needs, tiles)
        self.waited_s = 0.0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        turns, log, name, priority, needs, tiles = self._arguments
        with turns.take(priority, needs) as turn:
            self.started.set()
            assert self.may_start.wait(LONG_S)
            for _ in range(tiles):
                step_aside()
                log.append(name)
        self.waited_s = turn.waited_s


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    return Turns(tmp_path / "cpu", room=2, patience_s=LONG_S)


def run(*requests: Tiles) -> None:
    """All stand in the row before any begins; the last one begins last."""
    for request in requests:
        assert request.started.wait(LONG_S)
    for request in requests:
        request.may_start.set()
    for request in requests:
        request.thread.join(LONG_S)
        assert not request.thread.is_alive()


def test_the_urgent_request_goes_first_whoever_came_first(turns: Turns) -> None:
    log: list[str] = []
    routine = Tiles(turns, log, "enhance", 10)
    assert routine.started.wait(LONG_S)
    run(routine, Tiles(turns, log, "ich", 40))
    assert log == ["ich"] * 3 + ["enhance"] * 3
    assert list(turns.folder.iterdir()) == []


@dataclass(frozen=True)
class Watched(Turns):
    """Says when a request has found a more urgent one before it."""

    found: threading.Event = field(default_factory=threading.Event)

    def before(self, place: _Place, own: str) -> int:
        needs = super().before(place, own)
        if needs:
            self.found.set()
        return needs


def test_how_long_a_request_has_made_way_is_known(tmp_path: Path) -> None:
    watched = Watched(tmp_path, room=2, patience_s=LONG_S)
    with watched.take(40, 2):
        routine = Tiles(watched, [], "enhance", 10)
        routine.may_start.set()
        assert watched.found.wait(LONG_S)
    routine.thread.join(LONG_S)
    assert routine.waited_s > 0


def test_of_two_alike_the_earlier_goes_first(turns: Turns) -> None:
    log: list[str] = []
    first = Tiles(turns, log, "first", 40)
    assert first.started.wait(LONG_S)
    second = Tiles(turns, log, "second", 40)
    run(second, first)
    assert log == ["first"] * 3 + ["second"] * 3


def test_where_there_is_room_nobody_waits(tmp_path: Path) -> None:
    wide = Turns(tmp_path, room=4, patience_s=LONG_S)
    with wide.take(40, 2), wide.take(10, 2) as routine:
        step_aside()
    assert routine.waited_s == 0


def test_who_needs_more_than_there_is_goes_on_alone(turns: Turns) -> None:
    with turns.take(10, 8) as turn:
        step_aside()
    assert turn.waited_s == 0


def test_patience_ends_so_that_nothing_starves(tmp_path: Path) -> None:
    turns = Turns(tmp_path, room=2, patience_s=0.05)
    with turns.take(40, 2), turns.take(10, 2) as routine:
        for _ in range(3):
            step_aside()
    assert routine.waited_s >= 0.05


def test_a_request_whose_process_died_holds_nobody_up(turns: Turns) -> None:
    program = """
import os, sys
from pathlib import Path
from models.engines.turns import Turns
with Turns(Path(sys.argv[1]), 2, 60.0).take(40, 2):
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program, str(turns.folder)], check=False, cwd=Path(__file__).parents[4])
    assert len(list(turns.folder.iterdir())) == 1
    with turns.take(10, 2) as turn:
        step_aside()
    assert turn.waited_s == 0
    assert list(turns.folder.iterdir()) == []


def test_a_live_request_of_another_process_is_made_way_for(turns: Turns) -> None:
    program = """
import sys
from pathlib import Path
from models.engines.turns import Turns
with Turns(Path(sys.argv[1]), 2, 60.0).take(40, 2):
    print("here", flush=True)
    sys.stdin.readline()
"""
    log: list[str] = []
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(turns.folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "here\n"
    routine = Tiles(turns, log, "enhance", 10)
    routine.may_start.set()
    routine.thread.join(0.2)
    assert log == []
    other.communicate("end\n", timeout=LONG_S)
    routine.thread.join(LONG_S)
    assert log == ["enhance"] * 3


def test_outside_a_request_nobody_steps_aside() -> None:
    step_aside()
