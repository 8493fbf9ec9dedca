"""Every process killed, paused, cut off and slowed in turn while studies keep coming: is accepted work ever lost?

Linux, root: network namespaces, a small tmpfs as the disk, libfaketime for the clock. Each trial leaves its row in
chaos-out/, so that an interrupted run goes on where it was; the folder goes once all of them are in chaos.json.
"""

import json
import os
import shutil
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from load_tests.record import Figure, Measured
from load_tests.scanners import Scanner, Sent
from load_tests.site import run_site
from load_tests.studies import MIX, Template, write_templates
from load_tests.trials import LONG_S, Flow, Outcome, Trial, attempt, audit, trials

ROWS = Path("chaos-out")
FOUND_S = 10.0
"""What hangs is to be found in this time."""
MATRIX = 128
KINDS = tuple(kind for kind in MIX if kind.name in ("none-1", "iph-ivh"))
_QUICK = ("kill-worker", "partition-postgres", "disk-full-store")


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Run the trials that have no row yet, one after another against one site; a site that stays broken is replaced.

    Raises:
        RuntimeError: accepted work was lost; says which.
    """
    chosen = [trial for trial in trials() if not quick or trial.name in _QUICK]
    folder = scratch / "rows" if quick else ROWS
    folder.mkdir(exist_ok=True)
    templates = write_templates(scratch / "phantoms", KINDS, matrix=MATRIX)
    for number in count():
        waiting = [trial for trial in chosen if not (folder / f"{trial.name}.json").exists()]
        if not waiting:
            break
        _run(waiting, scratch / f"site{number}", list(templates.values()), folder)
    rows = [json.loads((folder / f"{trial.name}.json").read_text(encoding="utf-8")) for trial in chosen]
    if lost := [row for row in rows if row["lost"]]:
        raise RuntimeError(f"Accepted work was lost, see {folder}: {lost}")
    shutil.rmtree(folder)
    return summary(rows)


def _run(waiting: Sequence[Trial], scratch: Path, templates: Sequence[Template], folder: Path) -> None:
    """Try until one is not recovered from, and then look for everything that was ever accepted once more."""
    everything: list[Sent] = []
    with run_site(scratch) as site, Scanner("PROBE", site.peer, 1) as probe:
        flow = Flow(site, templates)
        alone_s = flow.time_alone(probe)
        for trial in waiting:
            outcome, sent = attempt(trial, site, flow, probe, 1.5 * alone_s)
            everything += sent
            row = _row(outcome) | {"alone_s": round(alone_s, 1), "load": round(os.getloadavg()[0], 1)}
            (folder / f"{trial.name}.json").write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
            print(row, flush=True)
            if outcome.recovered_s is None:
                break
        if wrong := audit(site, everything).wrong:
            raise RuntimeError(f"Accepted work was lost after the trial that had taken it: {wrong}")


def _row(outcome: Outcome) -> dict[str, Any]:
    sign, seconds = outcome.sign or (None, None)
    wrong = outcome.custody.wrong
    return {
        "fault": outcome.trial.fault,
        "target": outcome.trial.target,
        "noticed_s": None if seconds is None else round(seconds, 1),
        "noticed by": ("-" if sign is None else sign) if outcome.trial.noticed else None,
        "recovered_s": None if outcome.recovered_s is None else round(outcome.recovered_s, 1),
        "studies": outcome.custody.studies,
        "instances": outcome.custody.acknowledged,
        "unsent": outcome.unsent,
        "lost": outcome.custody.losses,
        **({"wrong": wrong} if wrong else {}),
    }


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    must = [row for row in rows if row["noticed by"] is not None]
    seen = [row["noticed_s"] for row in must if row["noticed_s"] is not None]
    recovered = [row["recovered_s"] for row in rows if row["recovered_s"] is not None]
    alone_s, load, cores = median(row["alone_s"] for row in rows), median(r["load"] for r in rows), os.cpu_count()
    return Measured(
        "Embedded mode's parts, Postgres and Orthanc each in a network namespace of its own, under a steady flow of "
        "head CTs (one every 1.5 times as long as one takes); Postgres and Orthanc are started again by the test as a "
        f"service manager would, everything else by Nightjar. What it does not mend itself lasts {LONG_S:g} s. Load "
        f"average {load:g} on {cores} cores (median over the trials).",
        (
            Figure("trials", len(rows), "trials"),
            Figure("studies accepted", sum(row["studies"] for row in rows), "studies"),
            Figure("instances accepted", sum(row["instances"] for row in rows), "instances"),
            Figure("accepted work lost", sum(row["lost"] for row in rows), "instances and studies"),
            Figure("could not be sent to the end", sum(row["unsent"] for row in rows), "studies"),
            Figure("to be noticed", len(must), "trials"),
            Figure(f"noticed within {FOUND_S:g} s", sum(seconds <= FOUND_S for seconds in seen), "trials"),
            Figure("noticed: longest", max(seen, default=0.0), "s"),
            Figure("not noticed", len(must) - len(seen), "trials"),
            Figure("not recovered by itself", len(rows) - len(recovered), "trials"),
            Figure("recovered: median until a new study was in the PACS", median(recovered or [0.0]), "s"),
            Figure("recovered: longest", max(recovered, default=0.0), "s"),
            Figure("a study without a fault: median", alone_s, "s"),
        ),
        {"rows": list(rows)},
    )
