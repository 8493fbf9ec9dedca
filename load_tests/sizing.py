"""Studies an hour and replica in docs/serving.md, from bench-results/serving.json: `python -m load_tests.sizing`."""

import json
import re
from pathlib import Path
from typing import Any

from load_tests.record import FOLDER

PAGE = Path("docs/serving.md")
BUSY = 0.7
_MARKED = re.compile(r"(?<=<!-- sizes -->\n).*?(?=<!-- /sizes -->)", re.DOTALL)


def table(result: dict[str, Any]) -> str:
    """Markdown: the seconds of each model's study, and how many a replica takes in an hour when busy for BUSY of it."""
    machine, data, day = result["machine"], result["data"], result["at"][:10]
    rows = [
        f"| {model} | {entry['study']} | {entry['seconds']:.1f} | {an_hour(entry['seconds'])} |"
        for model, entry in data["analyses"].items()
    ]
    return "\n".join(
        [
            f"{machine['cpu']}, {machine['cores']} cores, {data['threads']} CPU threads a replica, {day}:",
            "",
            f"| Model | Study | Seconds | Studies an hour and replica at {BUSY:.0%} |",
            "|---|---|---:|---:|",
            *rows,
            "",
        ]
    )


def an_hour(seconds: float) -> int:
    """Analyses of so many seconds that a replica takes in an hour, rounded down to two digits."""
    count = 3600 / seconds * BUSY
    digits = max(0, len(str(int(count))) - 2)
    return int(count // 10**digits * 10**digits)


def page(text: str, result: dict[str, Any]) -> str:
    """The page with the table in its place."""
    return _MARKED.sub(lambda _: table(result), text)


if __name__ == "__main__":
    written = page(PAGE.read_text(encoding="utf-8"), json.loads((FOLDER / "serving.json").read_text(encoding="utf-8")))
    PAGE.write_text(written, encoding="utf-8")
