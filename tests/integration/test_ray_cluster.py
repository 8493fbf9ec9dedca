"""Models served by a Ray cluster of its own, as on Kubernetes: `ray start`, `serve deploy`, `nightjar inference`.

Replicas are killed and replaced in the middle of work, and the head is lost: every study is analysed in the end.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydicom.uid import ExplicitVRLittleEndian
from support.heads import head_instances, small_head, stacked
from support.instances import encoded
from support.jobs import drain
from support.ports import free_ports
from support.processes import kill_all

from dicom_router import assemble, route
from dicom_router.persist import persist
from models.registry import load_model
from services.context import Context
from services.errors import Reject, Retry, SettingsError
from services.inference.messages import Answer
from services.inference.serve_config import model_arguments, serve_config
from services.ledger.intake import Sender, close_association, open_association
from services.ledger.worklist import inference_alive
from services.parts import register_models
from services.processes import replicas
from services.settings import InferenceSettings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own use of what it imports
    from services.inference.cluster import ClusterModels

pytestmark = pytest.mark.timeout(900)
PATIENCE_S = 300.0
TOKEN = secrets.token_hex(32)
BIN = Path(sys.executable).parent


@dataclass
class Cluster:
    """A head that is also the only node, with a token, and its REST address."""

    gcs: int
    dashboard: str
    folder: str
    environment: dict[str, str]
    head: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.gcs}"

    @property
    def replicas(self) -> list[int]:
        assert self.head is not None
        return replicas(self.head.pid, "ich")

    def requests(self) -> set[str]:
        """Those that replicas of this cluster are at, each a file while it runs; of who was killed they stay."""
        return {path.name for path in Path(self.folder).glob("tmp/nightjar-turns-*/cpu/[!.]*")}

    def start(self) -> None:
        self.head = subprocess.Popen(
            [
                BIN / "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={self.gcs}",
                "--include-dashboard=true", "--dashboard-host=127.0.0.1",
                f"--dashboard-port={self.dashboard.rpartition(':')[2]}", "--num-cpus=3",
                "--object-store-memory=300000000", f"--temp-dir={self.folder}", "--disable-usage-stats",
            ],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until(lambda: answers(f"{self.dashboard}/api/gcs_healthz"))

    def lose(self) -> None:
        """Without a word to anybody, as a machine is lost that goes dark."""
        assert self.head is not None
        kill_all(self.head.pid)
        self.head.wait(60)

    def deploy(self, config: dict[str, Any], path: Path) -> None:
        """As an operator of Kubernetes does: again until the head takes it."""
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        command = [BIN / "serve", "deploy", "--address", self.dashboard, path]
        until(lambda: subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0)


@dataclass
class Part:
    """`nightjar inference` of a site, and how it is."""

    settings: Path
    environment: dict[str, str]
    metrics: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "inference", "--config", self.settings], env=self.environment
        )

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.metrics}/readyz")

    def keep(self) -> None:
        """Start it again where it ended, as Kubernetes does: Ray ends who is connected to a head that is gone."""
        if self.process is not None and self.process.poll() is not None:
            self.start()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


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
        "NIGHTJAR_INFERENCE__SERVE_TOKEN": TOKEN,
        "TMPDIR": f"{folder}/tmp",
        # Not after everything else that runs, as Ray has it: on a busy machine a replica would start in minutes.
        "RAY_worker_niceness": "0",
    }
    (Path(folder) / "tmp").mkdir()
    found = Cluster(gcs, f"http://127.0.0.1:{dashboard}", folder, environment)
    try:
        found.start()
        yield found
    finally:
        found.lose()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def gate() -> str:
    """Where the cluster is asked from outside."""
    return f"http://127.0.0.1:{free_ports(1)[0]}/nightjar"


@pytest.fixture
def site(context: Context, cluster: Cluster) -> Context:
    inference = InferenceSettings(
        models=("ich",), ray_address=cluster.address, threads=1, engine="onnxruntime", timeout_s=PATIENCE_S
    )
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    settings = context.settings.model_copy(update={"inference": inference, "router": router})
    context = replace(context, settings=settings)
    register_models(context)
    return context


@pytest.fixture
def part(site: Context, cluster: Cluster, tmp_path: Path) -> Iterator[Part]:
    path, [metrics] = tmp_path / "site.yaml", free_ports(1)
    path.write_text(yaml.safe_dump(site.settings.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")
    environment = {name: value for name, value in cluster.environment.items() if not name.startswith("NIGHTJAR_")}
    found = Part(path, environment | {"NIGHTJAR_METRICS__PORT": str(metrics)}, metrics)
    yield found
    found.kill()


def config(site: Context, gate: str, **more: Any) -> dict[str, Any]:
    """What the cluster serves for a site: the model for who joins it, and the gate for who does not."""
    update = {"ray_address": None, "serve_url": gate, "serve_token": TOKEN, **more}
    content = serve_config(site.settings.inference.model_copy(update=update))
    content["http_options"] = {"host": "127.0.0.1", "port": int(gate.rpartition(":")[2].removesuffix("/nightjar"))}
    return content


def outside(gate: str, token: str = TOKEN) -> ClusterModels:
    settings = InferenceSettings(models=("ich",), serve_url=gate, serve_token=token, timeout_s=PATIENCE_S)
    return ClusterModels(settings, threading.Event())


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


def push_and_route(context: Context, seed: int, times: int = 1) -> str:
    """A head CT, of so many heads, whose analysis waits; its study."""
    sender = Sender(uuid.uuid4(), "SCANNER", "NIGHTJAR", "127.0.0.1:1")
    now = datetime.now(UTC)
    small = small_head(("IPH", 60.0))
    instances = head_instances(replace(small, volume=stacked(small.volume, times)))
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


def engine_of(context: Context, study_uid: str) -> str:
    with context.pool.connection() as connection:
        [row] = connection.execute(
            "SELECT parameters ->> 'engine' AS engine FROM analysis WHERE study_uid = %s", [study_uid]
        ).fetchall()
    return str(row["engine"]).partition(" ")[0]


def ai_runs(context: Context) -> bool:
    """As the worklist asks; where it does not, it says "AI is not running"."""
    with context.pool.connection() as connection:
        return inference_alive(connection)


def analysed(context: Context, *studies: str) -> bool:
    return all(analysis(context, study)["state"] == "analysed" for study in studies)


def test_a_cluster_serves_the_cards_models_and_work_waits_while_it_does_not(
    cluster: Cluster, gate: str, site: Context, part: Part, tmp_path: Path
) -> None:
    served = config(site, gate)
    first = push_and_route(site, 1)
    part.start()
    until(lambda: answers(f"http://127.0.0.1:{part.metrics}/healthz"))
    assert not part.ready(), "nothing is deployed yet"
    assert not ai_runs(site)
    cluster.deploy(served, tmp_path / "serve.yaml")
    until(lambda: analysed(site, first))
    until(part.ready)
    assert ai_runs(site)

    cluster.deploy(served | {"applications": []}, tmp_path / "serve.yaml")
    until(lambda: not part.ready())
    until(lambda: not ai_runs(site))
    second = push_and_route(site, 2)
    until(lambda: analysis(site, second)["state"] == "running")
    time.sleep(3)  # longer than a second try would wait
    assert analysis(site, second) == {"state": "running", "reason": None, "attempts": 1}
    assert part.process is not None
    part.process.send_signal(signal.SIGTERM)
    assert part.process.wait(60) == 0, "it must not wait for ever for a model"
    waiting = analysis(site, second)
    assert waiting["state"] == "queued"
    assert "asked to end" in waiting["reason"]

    part.start()
    cluster.deploy(served, tmp_path / "serve.yaml")
    until(lambda: analysed(site, second))
    until(lambda: ai_runs(site))


def test_a_replica_that_is_killed_loses_no_study_and_one_that_is_replaced_ends_its_own(
    cluster: Cluster, gate: str, site: Context, part: Part, tmp_path: Path
) -> None:
    cluster.deploy(config(site, gate), tmp_path / "serve.yaml")
    part.start()
    until(part.ready)
    [first] = cluster.replicas
    before = cluster.requests()
    killed = push_and_route(site, 3, times=8)
    until(lambda: cluster.requests() - before)
    os.kill(first, signal.SIGKILL)
    until(lambda: analysed(site, killed))

    until(lambda: len(cluster.replicas) == 1)
    [second] = cluster.replicas
    assert second != first
    before = cluster.requests()
    begun = push_and_route(site, 4, times=16)
    until(lambda: cluster.requests() - before)
    cluster.deploy(config(site, gate, engine="openvino"), tmp_path / "serve.yaml")
    until(lambda: second not in cluster.replicas)
    until(lambda: analysed(site, begun))
    assert (engine_of(site, begun), analysis(site, begun)["attempts"]) == ("onnxruntime", 1), (
        "who had begun it ended it"
    )
    after = push_and_route(site, 5)
    until(lambda: analysed(site, after))
    assert engine_of(site, after) == "openvino"


def test_from_outside_the_same_client_gets_the_same_answers(
    cluster: Cluster, gate: str, site: Context, tmp_path: Path
) -> None:
    cluster.deploy(config(site, gate, engine="openvino"), tmp_path / "serve.yaml")
    models = outside(gate)
    models.start()
    assert models.healthy()
    head = small_head(("IPH", 60.0)).volume
    bare = load_model("ich", engine="openvino", threads=1).predict({"NCCT": head})
    answer = models.analyse("ich", {"NCCT": head})
    assert answer.prediction.findings == bare.findings
    assert answer.prediction.model == bare.model
    assert answer.prediction.probabilities == bare.probabilities
    np.testing.assert_array_equal(answer.prediction.segmentation, bare.segmentation)
    assert answer.preview.startswith(b"\x89PNG")
    with pytest.raises(Reject, match=r"^ich needs an input of role NCCT\.$"):
        models.ask("ich", {"CTA": head}, 40)
    with pytest.raises(Reject, match=r"^There is no tissue in these slices\.$"):
        models.ask("ich", {"NCCT": replace(head, voxels=np.full_like(head.voxels, -1000))})
    with pytest.raises(Retry, match="ais is not served"):
        models.ask("ais", {"DWI": head})
    with pytest.raises(SettingsError, match="serve_token"):
        outside(gate, secrets.token_hex(32)).start()

    [pid] = cluster.replicas
    before, verdicts = cluster.requests(), []

    def ask() -> None:
        try:
            models.ask("ich", {"NCCT": stacked(head, 8)})
        except Retry as verdict:
            verdicts.append(str(verdict))

    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: cluster.requests() - before)
    os.kill(pid, signal.SIGKILL)
    asking.join(PATIENCE_S)
    [verdict] = verdicts
    assert verdict.startswith("The replica of ich failed (")
    assert models.analyse("ich", {"NCCT": head}).prediction.findings == bare.findings
    models.stop()


def test_a_head_that_is_lost_and_comes_back_finds_all_work_waiting(
    cluster: Cluster, gate: str, site: Context, part: Part, tmp_path: Path
) -> None:
    cluster.deploy(config(site, gate, engine="openvino"), tmp_path / "serve.yaml")
    part.start()
    until(part.ready)
    until(lambda: ai_runs(site))
    from_outside = outside(gate)
    from_outside.start()
    before = cluster.requests()
    begun = push_and_route(site, 6, times=8)
    until(lambda: cluster.requests() - before)
    cluster.lose()
    until(lambda: not ai_runs(site))
    assert not from_outside.healthy()
    queued = push_and_route(site, 7)
    found: list[Answer] = []
    waiting = threading.Thread(
        target=lambda: found.append(from_outside.analyse("ich", {"NCCT": small_head(("IPH", 60.0)).volume}))
    )
    waiting.start()
    cluster.start()
    cluster.deploy(config(site, gate, engine="openvino"), tmp_path / "serve.yaml")

    def all_analysed() -> bool:
        part.keep()
        return analysed(site, begun, queued)

    until(all_analysed)
    until(lambda: ai_runs(site))
    waiting.join(PATIENCE_S)
    assert [answer.prediction.model.name for answer in found] == ["ich"]
    from_outside.stop()


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
