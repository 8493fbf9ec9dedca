"""The failure tests themselves: a real fault is survived, and what is lost on purpose is found."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load_tests.chaos import summary

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces that keep their users, and a file system, take root")
def test_a_killed_worker_loses_nothing_and_every_planted_loss_is_found() -> None:
    done = subprocess.run(
        ["unshare", "--net", "--mount", sys.executable, ROOT / "tests/support/planted_losses.py"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["studies"] >= 2
    assert said["recovered"] is not None
    assert said["trial"] == {}
    planted = said["planted"]
    assert said["found"][0] == {"without_result": planted.pop("without_result")}
    assert said["found"][1] == planted
    assert all(planted.values())


def _row(**said: Any) -> dict[str, Any]:
    return {
        "fault": "pause", "target": "web", "noticed_s": 8.0, "noticed by": "heartbeat", "recovered_s": 12.0,
        "studies": 3, "instances": 90, "unsent": 0, "lost": 0, "alone_s": 5.0, "load": 2.0,
    } | said  # fmt: skip


def test_the_report_hides_nothing() -> None:
    """What was found late, what was not found, and what never recovered stand in the figures."""
    late, blind = _row(noticed_s=10.4), _row(noticed_s=None, recovered_s=None, unsent=1)
    slow = _row(fault="slow", **{"noticed_s": None, "noticed by": None})
    figures = {figure.what: figure.value for figure in summary([_row(), late, blind, slow]).figures}
    assert figures["trials"] == 4
    assert figures["to be noticed"] == 3
    assert figures["noticed within 10 s"] == 1
    assert figures["noticed: longest"] == 10.4
    assert figures["not noticed"] == 1
    assert figures["not recovered by itself"] == 1
    assert figures["could not be sent to the end"] == 1
    assert figures["instances accepted"] == 360
