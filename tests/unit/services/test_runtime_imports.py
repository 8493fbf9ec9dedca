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


def test_no_part_needs_torch() -> None:
    program = "import sys\nfor name in ('torch', 'onnx', 'onnxscript'): sys.modules[name] = None\n" + "\n".join(
        f"import {module}" for module in MODULES
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
