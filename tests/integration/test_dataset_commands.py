"""A dataset comes in, is released, learned from and compared by the commands alone, against a ledger and an intake."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import Result
from support.diffusion_head import Sphere, head
from support.jobs import drain
from support.ports import free_ports
from typer.testing import CliRunner

from dicom_router import assemble, route
from dicom_router.listener import Listener
from load_tests.small_networks import small_network, write_version
from models.nifti import grid_of
from models.registry import use_shelf
from services.cli import app
from services.context import Context
from services.errors import Reject, SettingsError
from services.ledger.accounts import Role, create_account, find_account
from services.ledger.courses import record_experience
from services.ledger.workitems import State
from services.parts import register_models
from services.review import workflow
from services.settings import load_settings

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")

PATIENCE_S = 120.0
KEY = b"key 022 of the dataset's commands"  # puts sub-1 and sub-2 into training, sub-3 and sub-4 into the others


@pytest.fixture
def config(context: Context, tmp_path: Path) -> Iterator[Path]:
    """Settings of a service whose intake listens."""
    [port] = free_ports(1)
    content = {
        "data_dir": str(context.settings.data_dir),
        "database": {"url": context.settings.database_url},
        "router": {"port": port, "low_disk_mb": 0},
        "inference": {"models": ["ais"], "models_dir": str(tmp_path / "models")},
    }
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    ours = replace(context, settings=load_settings(path))
    register_models(ours)
    listener = Listener(ours)
    listener.start()
    yield path
    listener.stop()
    use_shelf(None)


def write_case(tree: Path, number: int, *, marked: bool = True, value: int = 1) -> None:
    """A subject's DWI and ADC with a mask, as ISLES names them."""
    scanned = head(Sphere((25.0, -10.0, 5.0 + 3 * number), 14.0), noise=0.02, seed=number)
    folder = tree / "derivatives" / f"sub-{number}" / "ses-02"
    folder.mkdir(parents=True)
    grid, stem = grid_of(scanned.dwi), f"sub-{number}_ses-02_space-ncct"
    grid.write(scanned.dwi.voxels, folder / f"{stem}_dwi.nii.gz", np.float32)
    grid.write(scanned.adc.voxels, folder / f"{stem}_adc.nii.gz", np.float32)
    grid.write((scanned.truth & marked) * np.uint8(value), folder / f"{stem}_lesion-msk.nii.gz", np.uint8)


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ask(*arguments: object, ends: int = 0) -> Any:
    """What a command says to a program, when it ends so."""
    result = run(*arguments, "--json")
    assert result.exit_code == ends, result.output
    return json.loads(result.stdout)


def route_all(context: Context, studies: int) -> None:
    """Until each study's images wait for the model; the intake writes an association's end down a moment after it."""
    until = time.monotonic() + PATIENCE_S
    while True:
        drain(context, {"assemble": assemble.STAGE, "route": route.STAGE})
        with context.pool.connection() as connection:
            found = connection.execute("SELECT inputs FROM analysis").fetchall()
        if len(found) == studies:
            assert all(set(row["inputs"]) == {"DWI", "ADC"} for row in found)
            return
        assert time.monotonic() < until
        time.sleep(0.05)


def accept_all(context: Context, items: list[int]) -> None:
    with context.pool.connection() as connection:
        create_account(connection, "cy", "a long test password", [Role.REVIEWER])
        record_experience(connection, "cy", context.now().date().replace(year=2004))
        reviewer = find_account(connection, "cy")
    assert reviewer is not None
    for item in items:
        for target in (State.IN_REVIEW, State.ACCEPTED):
            workflow.decide(context, reviewer, item, target)


def test_from_a_dataset_of_others_to_a_version_that_learned_from_it(
    context: Context, config: Path, tmp_path: Path
) -> None:
    tree, site = tmp_path / "open", ("--config", config)
    for number in (1, 2, 3):
        write_case(tree, number)
    write_case(tree, 4, marked=False)
    bring = ("dataset", "import", tree, "--task", "ais-mri", "--name", "OPEN", *site)
    items = ask(*bring)["made"]
    assert len(items) == 4
    assert ask(*bring)["made"] == items
    route_all(context, 4)
    accept_all(context, items)

    (tmp_path / "deid.key").touch(0o600)
    (tmp_path / "deid.key").write_bytes(KEY)
    export = ("dataset", "export", "--task", "ais-mri", "--key", tmp_path / "deid.key", *site)
    with pytest.raises(Reject, match=r"all 4 workitems were held\. .*nightjar dataset consent LIST\.csv"):
        run(*export, "--out", tmp_path / "one")
    rows = "".join(f"granted,OPEN:sub-{number}\n" for number in (1, 2, 3, 4))
    (tmp_path / "list.csv").write_text(f"decision,patient_id\n{rows}hold,OPEN:sub-9\n", encoding="utf-8")
    said = run("dataset", "consent", tmp_path / "list.csv", "--basis", "Open data.", *site).output
    assert "4 granted, 1 hold. 1 of them name nobody" in said
    made = ask(*export, "--out", tmp_path / "one")
    assert (made["cases"], made["splits"]) == (4, {"test": 1, "train": 2, "validation": 1})
    # A reading that began from no answer takes with it what the model would have read beside it.
    assert all(set(entry["images"]) == {"DWI", "ADC"} for entry in made["index"])
    with pytest.raises(SettingsError, match="exists"):
        run(*export, "--out", tmp_path / "one")
    assert ask(*export, "--out", tmp_path / "two", "--again", made["release"])["files"] == made["files"]
    [listed] = ask("dataset", "releases", *site)
    assert (listed["number"], listed["labels"], listed["digest"]) == (1, 4, made["release"])
    assert not any(each["problems"] for each in ask("dataset", "check", tmp_path / "one"))

    write_version("ais", small_network("ais"), tmp_path / "first", "0.0.1")
    ask("dataset", "import", tree, "--model", "ais", "--out", tmp_path / "known")
    run("model", "add", tmp_path / "first", *site)
    go_on = ("train", "finetune", "--task", "ais", "--release", tmp_path / "one", "--out", tmp_path / "new", *site)
    with pytest.raises(
        SettingsError, match=r"--known .*one has no folder images\. Name one that make evaluate-ais wrote"
    ):
        run(*go_on, "--known", tmp_path / "one")
    learned = run(
        *go_on, "--from", "0.0.1", "--version", "0.0.2", "--known", tmp_path / "known", "--minutes", 0.1, "--batch", 2,
        "--json",
    )  # fmt: skip
    told = json.loads(learned.stdout)
    assert (told["parent"], told["learned"], told["replayed"]) == ("0.0.1", 2, 0)
    assert set(told["known_before"]) | set(told["known_after"]) == {"ischaemic core"}
    assert learned.exit_code == int(told["better"] is False or told["forgets"] is True)

    run("model", "add", tmp_path / "new", *site)
    compare = ("evaluate", "--task", "ais", "--version", "0.0.2", "--against", "0.0.1", *site)
    new = ask(*compare, "--release", tmp_path / "one", "--split", "test", "--out", tmp_path / "compared")
    known = ("--images", tmp_path / "known" / "images", "--truth", tmp_path / "known" / "truth")
    old = ask(*compare, *known, "--out", tmp_path / "compared-known")
    assert [each["against"]["old"]["version"] for each in (new, old)] == ["0.0.1", "0.0.1"]
    assert (tmp_path / "compared-known" / "comparison.json").is_file()
    assert "0.0.2" in run("model", "shadow", "ais", "0.0.2", *site).output


def test_what_an_import_cannot_take_is_told_and_the_rest_is_in(config: Path, tmp_path: Path) -> None:
    tree, site = tmp_path / "open", ("--config", config)
    write_case(tree, 1)
    write_case(tree, 2, value=7)
    write_case(tree, 3)
    cut = next(tree.rglob("sub-3_*_dwi.nii.gz"))
    cut.write_bytes(cut.read_bytes()[:1000])
    bring = ("dataset", "import", tree, "--task", "ais-mri", *site)
    told = ask(*bring, ends=1)
    assert len(told["made"]) == 1
    strange, damaged = told["refused"]
    assert strange == ("sub-2_ses-02: Its mask holds the value 7, which is no label of Acute ischaemic stroke, MRI.")
    assert damaged.startswith("sub-3_ses-02: ")
    assert damaged.endswith("cannot be read as NIfTI.")
    [port] = free_ports(1)
    with pytest.raises(Reject, match=rf"sub-1_ses-02: NIGHTJAR@127\.0\.0\.1:{port} did not take 48 of its images"):
        run(*bring, "--to", f"NIGHTJAR@127.0.0.1:{port}")
    with pytest.raises(SettingsError, match="write the receiver as AE@host:port"):
        run(*bring, "--to", "NIGHTJAR")
