"""Models served by a Ray cluster of its own, as on Kubernetes: `ray start`, `serve deploy`, `nightjar inference`."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom.uid import ExplicitVRLittleEndian
from support.heads import head_instances, small_head
from support.instances import encoded
from support.jobs import drain
from support.ports import free_ports

from dicom_router import assemble, route
from dicom_router.persist import persist
from services.context import Context
from services.inference.serve_config import model_arguments, serve_config
from services.ledger.intake import Sender, close_association, open_association
from services.parts import register_models
from services.settings import InferenceSettings

pytestmark = pytest.mark.timeout(600)
PATIENCE_S = 180.0
BIN = Path(sys.executable).parent


@dataclass
class Cluster:
    """A head that is also the only node, with a token, and its REST address."""

    address: str
    dashboard: str
    environment: dict[str, str]

    def deploy(self, config: dict[str, Any], path: Path) -> None:
        """As an operator of Kubernetes does: again until the head takes it."""
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [BIN / "serve", "deploy", "--address", self.dashboard, path]
        until(lambda: subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    gcs, dashboard = free_ports(2)
    folder = tempfile.mkdtemp(prefix="nj-ray-")  # short: Ray puts sockets below it
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "NIGHTJAR_"))}
    environment = kept | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    found = Cluster(f"127.0.0.1:{gcs}", f"http://127.0.0.1:{dashboard}", environment)
    head = subprocess.Popen(
        [
            BIN / "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={gcs}",
            "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
            "--num-cpus=3", "--object-store-memory=300000000", f"--temp-dir={folder}", "--disable-usage-stats",
        ],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: answers(f"http://127.0.0.1:{dashboard}/api/gcs_healthz"))
        yield found
    finally:
        head.send_signal(signal.SIGTERM)
        try:
            head.wait(60)
        finally:
            os.killpg(head.pid, signal.SIGKILL) if head.poll() is None else None
            shutil.rmtree(folder, ignore_errors=True)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def until(reached: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.2)


def push_and_route(context: Context, seed: int) -> str:
    """A head CT whose analysis waits; its study."""
    sender = Sender(uuid.uuid4(), "SCANNER", "NIGHTJAR", "127.0.0.1:1")
    now = datetime.now(UTC)
    instances = head_instances(small_head(("IPH", 60.0)))
    root = f"1.2.826.0.1.3680043.10.543.{seed}"
    with context.pool.connection() as connection:
        open_association(connection, sender, now)
    for number, instance in enumerate(instances):
        instance.StudyInstanceUID, instance.SeriesInstanceUID = root, f"{root}.1"
        instance.SOPInstanceUID = f"{root}.1.{number + 1}"
        persist(context, encoded(instance), ExplicitVRLittleEndian, sender)
    with context.pool.connection() as connection:
        close_association(connection, sender.association_id, "released", now)
    drain(context, {"assemble": assemble.STAGE, "route": route.STAGE})
    return root


def analysis(context: Context, study_uid: str) -> dict[str, Any]:
    with context.pool.connection() as connection:
        [row] = connection.execute(
            "SELECT state, reason, attempts FROM analysis WHERE study_uid = %s", [study_uid]
        ).fetchall()
    return row


def test_a_cluster_serves_the_cards_models_and_work_waits_while_it_does_not(
    cluster: Cluster, context: Context, tmp_path: Path
) -> None:
    inference = InferenceSettings(models=("ich",), ray_address=cluster.address, threads=1, engine="onnxruntime")
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    settings = context.settings.model_copy(update={"inference": inference, "router": router})
    context = replace(context, settings=settings)
    register_models(context)
    config = serve_config(inference)
    config["http_options"] = {"host": "127.0.0.1", "port": free_ports(1)[0]}
    path, [metrics] = tmp_path / "site.yaml", free_ports(1)
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "services.cli", "inference", "--config", path],
            env=cluster.environment | {"NIGHTJAR_METRICS__PORT": str(metrics)},
        )

    first = push_and_route(context, 1)
    part = start()
    try:
        until(lambda: answers(f"http://127.0.0.1:{metrics}/healthz"))
        assert not answers(f"http://127.0.0.1:{metrics}/readyz"), "nothing is deployed yet"
        cluster.deploy(config, tmp_path / "serve.yaml")
        until(lambda: analysis(context, first)["state"] == "analysed")
        until(lambda: answers(f"http://127.0.0.1:{metrics}/readyz"))

        cluster.deploy(config | {"applications": []}, tmp_path / "serve.yaml")
        until(lambda: not answers(f"http://127.0.0.1:{metrics}/readyz"))
        second = push_and_route(context, 2)
        until(lambda: analysis(context, second)["state"] == "running")
        time.sleep(3)  # longer than a second try would wait
        assert analysis(context, second) == {"state": "running", "reason": None, "attempts": 1}
        part.send_signal(signal.SIGTERM)
        assert part.wait(60) == 0, "it must not wait for ever for a model"
        waiting = analysis(context, second)
        assert waiting["state"] == "queued"
        assert "asked to end" in waiting["reason"]

        part = start()
        cluster.deploy(config, tmp_path / "serve.yaml")
        until(lambda: analysis(context, second)["state"] == "analysed")
    finally:
        part.kill()
        part.wait()


def test_an_image_with_other_weights_refuses_to_serve() -> None:
    program = """
from services.inference.application import BuildArguments, build
from services.inference.serve_config import model_arguments
arguments = model_arguments("ich") | {"weights": "0" * 64, "threads": 1, "engine": "auto", "timeout_s": 1}
build(BuildArguments.model_validate(arguments))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert f"The configuration wants ich {model_arguments('ich')['version']}, weights 000000000000" in done.stderr
