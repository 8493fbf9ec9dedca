"""The list of what is installed here, as CycloneDX 1.6 JSON, for scanners of known weaknesses; sorted, undated."""

import json
import platform
from importlib import metadata


def components() -> list[dict[str, object]]:
    """Every distribution of this environment."""
    found = {}
    for distribution in metadata.distributions():
        name, version = distribution.metadata["Name"], distribution.version
        entry: dict[str, object] = {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
        }
        licence = distribution.metadata.get("License-Expression") or distribution.metadata.get("License")
        if licence and "\n" not in licence:
            entry["licenses"] = [{"license": {"name": licence}}]
        found[name.lower()] = entry
    return [found[name] for name in sorted(found)]


if __name__ == "__main__":
    python = {"type": "platform", "name": "python", "version": platform.python_version()}
    print(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [python, *components()]}, indent=1))
