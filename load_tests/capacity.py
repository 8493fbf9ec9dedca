"""The capacity model against the load run it is calibrated by: the same studies at the same moments, simulated.

python -m load_tests.capacity > services/capacity/measured.yaml     what `nightjar capacity` then rests on
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from load_tests.record import FOLDER, Figure, Measured
from services.capacity.calibration import Calibration, parse
from services.capacity.simulation import Job, Visit, simulate
from services.capacity.sizing import JOBS_A_POD, analysis_visits

_KEPT = ("plan", "mix", "alone")


def measure(scratch: Path, *, quick: bool) -> Measured:  # noqa: ARG001 - it takes a moment
    """Predicted and measured seconds from the last slice to the flag, by model and over all."""
    content = _load_run()
    calibration, data = parse(content), content["data"]
    predicted = predict(calibration, data)
    measured = [entry["flag_s"] for entry in data["analyses"]]
    models = [entry["model"] for entry in data["analyses"]]
    figures = []
    for name in (*(model for model in calibration.models if model in models), "all"):
        chosen = [number for number, model in enumerate(models) if name in (model, "all")]
        for said, share in (("median", 50), ("95th percentile", 95)):
            real = float(np.percentile([measured[number] for number in chosen], share))
            model_s = float(np.percentile([predicted[number] for number in chosen], share))
            figures += [
                Figure(f"{name}, {said}: measured", real, "s"),
                Figure(f"{name}, {said}: model", model_s, "s"),
                Figure(f"{name}, {said}: model to measured", model_s / real, "x"),
            ]
    return Measured(
        f"The load run of {content['at'][:10]} (commit {content['commit']}) simulated: {len(measured)} analyses that "
        f"begin when their last instance came, work as measured alone, {data['cores']:.2g} cores shared by all parts. "
        "Nothing is fitted to the run that is predicted.",
        tuple(figures),
    )


def predict(calibration: Calibration, data: Mapping[str, Any]) -> list[float]:
    """Seconds from the last slice to the flag of each analysis of a run, in the run's order."""
    index = {name: number for number, name in enumerate(("router", "worker", *calibration.models))}
    kinds = {kind.model: kind for kind in calibration.kinds}
    jobs = [
        Job(entry["last_instance_s"], tuple(analysis_visits(kinds[entry["model"]], index)))
        for entry in data["analyses"]
    ]
    # What arrives meanwhile wants the same cores, and is asked for as the scanners did.
    model_of = {entry["kind"]: entry["model"] for entry in data["analyses"]}
    jobs += [
        Job(
            entry["asked_s"], (Visit(index["router"], kinds[model_of.get(entry["kind"], "")].cpu_s.get("router", 0.0)),)
        )
        for entry in data["studies"]
    ]
    servers = [len(jobs), JOBS_A_POD, *(1 for _ in calibration.models)]
    ended = simulate(servers, jobs, data["cores"])
    flags = []
    for entry, job, times in zip(data["analyses"], jobs, ended, strict=False):
        infer = next(number for number, visit in enumerate(job.visits) if visit.station == index[entry["model"]])
        flags.append(times[infer] - job.at_s)
    return flags


def _load_run() -> dict[str, Any]:
    path = FOLDER / "load.json"
    if not path.exists():
        raise RuntimeError(f"{path} is missing; `make load` writes it.")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    run = _load_run()
    kept = {name: run["data"][name] for name in _KEPT}
    header = (
        "# Written by `python -m load_tests.capacity > services/capacity/measured.yaml` from bench-results/load.json.\n"
    )
    print(
        header
        + yaml.safe_dump(
            {name: run[name] for name in ("at", "commit", "conditions")} | {"data": kept}, sort_keys=False
        ),
        end="",
    )
