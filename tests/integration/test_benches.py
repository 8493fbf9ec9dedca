"""The benches run and leave what the performance page is made from; no figure is looked at."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_quick_intake_leaves_its_figures(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "load_tests", "intake", "--quick", "--out", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "intake.json").read_text(encoding="utf-8"))
    assert written["command"] == "python -m load_tests intake --quick"
    assert {"cpu", "cores", "memory_gib", "system", "load_average", "gpu"} == set(written["machine"])
    assert "not installed" not in written["versions"].values()
    figures = {figure["what"]: figure for figure in written["figures"]}
    for count in ("1 association", "4 associations"):
        for receiver in ("Nightjar", "storescp --fork", "Orthanc"):
            assert figures[f"{receiver}, {count}"]["unit"] == "instances/s"
        for peer in ("storescp --fork", "Orthanc"):
            assert figures[f"Nightjar to {peer}, {count}"]["unit"] == "x"
    assert all(figure["value"] > 0 for figure in figures.values())


def test_a_quick_head_ct_leaves_seconds_and_memory_of_both_engines(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "load_tests", "ich", "--quick", "--out", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "ich.json").read_text(encoding="utf-8"))
    figures = {figure["what"]: figure for figure in written["figures"]}
    for shape in ("14 x 128 x 128", "98 x 128 x 128"):
        for engine in ("onnxruntime", "openvino"):
            for step in ("read", "preprocess", "network", "postprocess", "encode", "all five"):
                assert figures[f"{shape}, {engine}: {step}"]["unit"] == "s"
            assert figures[f"{shape}, {engine}: peak memory"]["unit"] == "MiB"
            assert engine in written["conditions"]
        for what in ("network", "all five", "peak memory"):
            assert figures[f"{shape}, openvino to onnxruntime: {what}"]["unit"] == "x"
    assert all(figure["value"] > 0 for figure in figures.values())


def test_the_pages_benches_leave_their_figures(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "load_tests", "viewer", "editor", "worklist", "--quick", "--out", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, expected in (
        ("viewer", "ready: the whole series in three planes"),
        ("editor", "brush of 6 mm, one move of the pointer: median"),
        ("worklist", "commit of a flag to the frame that shows it: median"),
    ):
        figures = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["figures"]
        assert expected in [figure["what"] for figure in figures]
        assert all(figure["value"] > 0 for figure in figures)


def test_models_without_a_bench_of_their_own_leave_seconds_a_stage(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "load_tests", "models", "--quick", "--out", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))
    figures = {figure["what"]: figure for figure in written["figures"]}
    for stage in ("prepare", "network", "data consistency", "all stages", "peak memory"):
        assert figures[f"enhance: {stage}"]["value"] > 0
    assert "4 slices of 256 x 256" in written["conditions"]


def test_an_unknown_bench_is_wrong_use() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "load_tests", "speed"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no bench called speed" in done.stderr
