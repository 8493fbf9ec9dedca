"""The simulated hospital: its studies are new each time, its scanners never give up, and a loss would be seen."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support.ports import free_ports

from dicom_router.listener import Listener
from load_tests import record
from load_tests.capacity import predict
from load_tests.custody import judge, settled
from load_tests.load import Plan, Target, run
from load_tests.resources import Watch
from load_tests.scanners import Scanner, wait_sent
from load_tests.studies import MIX, Template, write_templates
from services.capacity.calibration import read_calibration
from services.capacity.sizing import size
from services.context import Context
from services.delivery.association import Peer
from services.demonstration.pacs import StandInPacs
from services.ledger.database import connect
from services.settings import load_settings
from services.storage.local import LocalStore

WORKER = Path(__file__).parents[1] / "support" / "mortal_worker.py"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    kinds = [kind for kind in MIX if kind.name == "abdomen"]
    return write_templates(tmp_path_factory.mktemp("studies"), kinds, matrix=64)["abdomen"]


def test_each_study_is_another_patients_and_the_same_number_is_the_same_study(template: Template) -> None:
    first, second, again = template.study(1), template.study(2), template.study(1)
    assert first == again
    assert first.study_uid != second.study_uid
    assert [len(file) for files in first.series for file in files] == [
        len(file) for files in second.series for file in files
    ]
    assert b"LOAD-0000000001" in first.series[0][0]
    prior = template.study(3, patient=1, prior=True)
    assert b"LOAD-0000000001" in prior.series[0][0]
    assert b"20240605" in prior.series[0][0]


def test_scanners_send_until_everything_is_taken_and_a_loss_is_seen(
    template: Template, context: Context, database_url: str
) -> None:
    [port] = free_ports(1)
    router = context.settings.router.model_copy(update={"port": port, "low_disk_mb": 0})
    context = Context(context.settings.model_copy(update={"router": router}), context.pool, context.store)
    with Scanner("CT-TEST", Peer("NIGHTJAR", "127.0.0.1", port, 5.0), 2) as scanner:
        sent = scanner.take(template.study(1))
        end = time.monotonic() + 60
        while not sent.tries and time.monotonic() < end:  # nobody listens yet
            time.sleep(0.05)
        listener = Listener(context)
        listener.start()
        try:
            assert wait_sent([sent], 120)
        finally:
            listener.stop()
    assert len(sent.acknowledged) == sent.study.instances
    assert sent.tries > 0
    store = LocalStore(context.settings.store_path)
    with connect(database_url, autocommit=True) as connection:
        assert not settled(connection, [sent])
        custody = judge(connection, [sent], store)
        assert (custody.lost, custody.without_bytes) == ((), ())
        assert custody.without_end == (sent.study.study_uid,)  # no worker ran
        row = connection.execute("SELECT sop_instance_uid, digest FROM instance ORDER BY id LIMIT 1").fetchone()
        assert row is not None
        (Path(context.settings.store_path) / row["digest"][:2] / row["digest"]).unlink()
        assert judge(connection, [sent], store).without_bytes == (row["sop_instance_uid"],)
        connection.execute("DELETE FROM instance WHERE sop_instance_uid = %s", [row["sop_instance_uid"]])
        assert judge(connection, [sent], store).lost == (row["sop_instance_uid"],)


@pytest.mark.timeout(900)
def test_a_simulated_hospital_loses_nothing_and_calibrates_the_capacity_model(
    context: Context, database_url: str, tmp_path: Path
) -> None:
    """The worker holds the model itself: what is tried here needs no Ray."""
    kinds = tuple(kind for kind in MIX if kind.name in ("none-1", "abdomen"))
    plan = Plan(studies_per_day=3000, minutes=1, compression=10, seed=2, matrix=128, mix=kinds)
    templates = write_templates(tmp_path / "phantoms", kinds, matrix=plan.matrix)
    [port] = free_ports(1)
    with StandInPacs(tmp_path / "pacs", knows=lambda _: True) as pacs:
        values = {
            "data_dir": str(tmp_path / "data"),
            "database": {"url": database_url},
            "router": {"port": port, "low_disk_mb": 0},
            "inference": {"models": ["ich"], "threads": 1},
            "destinations": [pacs.destination.model_dump(mode="json", exclude_defaults=True)],
        }
        config = tmp_path / "site.yaml"
        config.write_text(yaml.safe_dump(values), encoding="utf-8")
        context = Context(load_settings(config), context.pool, LocalStore(tmp_path / "data" / "store"))
        listener = Listener(context)
        listener.start()
        worker = subprocess.Popen([sys.executable, WORKER, config])
        try:
            watch = Watch(lambda: {"worker": worker.pid})
            target = Target(
                Peer("NIGHTJAR", "127.0.0.1", port),
                database_url,
                LocalStore(tmp_path / "data" / "store"),
                lambda uid: {result.sop_instance_uid for result in pacs.received(uid)},
                watch,
            )
            measured = run(plan, templates, target)
        finally:
            worker.terminate()
            worker.wait()
            listener.stop()
    figures = {figure.what: figure.value for figure in measured.figures}
    assert figures["accepted work lost"] == 0
    assert figures["studies sent"] > 0
    assert figures["ich: alone, on the same machine"] > 0
    written = record.write("load", "test", measured, tmp_path)
    calibration = read_calibration(written)
    assert calibration.models == ("ich",)
    assert size(calibration, 300).waits["ich"].p50_s > 0
    content = json.loads(written.read_text(encoding="utf-8"))
    predicted = predict(calibration, content["data"])
    assert len(predicted) == len(content["data"]["analyses"])
    assert all(seconds > 0 for seconds in predicted)
