"""The dashboard's panels as a picture, with what a Prometheus answers to their questions, where there is no Grafana.

    python helm/picture.py --prometheus http://127.0.0.1:9090 --minutes 15 --out docs/images/dashboard.png

Grafana draws the same panels from the same file (helm/nightjar/files/dashboard.json); this needs Chromium alone.
"""

import argparse
import html
import json
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import sync_playwright

DASHBOARD = Path(__file__).resolve().parent / "nightjar" / "files" / "dashboard.json"
COLUMN_PX, ROW_PX, WIDTH_PX, STEPS = 58, 30, 24 * 58 + 16, 180
COLOURS = ("#2f6fb5", "#c8551b", "#2e8b57", "#8a4fbf", "#b8860b", "#c2185b", "#00838f", "#5d4037")

Series = tuple[str, list[tuple[float, float]]]


class Questions:
    """Asks one Prometheus about the last minutes."""

    def __init__(self, url: str, minutes: float, namespace: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self.end = time.time()
        self.start = self.end - minutes * 60
        self._namespace = namespace

    def ask(self, panel: dict[str, Any]) -> list[Series]:
        """Every line of a panel: its name and its points, seconds and value."""
        found: list[Series] = []
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "1m").replace("$namespace", self._namespace)
            step = (self.end - self.start) / STEPS
            answer = self._client.get(
                "/api/v1/query_range", params={"query": query, "start": self.start, "end": self.end, "step": step}
            )
            for line in answer.raise_for_status().json()["data"]["result"]:
                name = target.get("legendFormat", "")
                for label, value in line["metric"].items():
                    name = name.replace("{{" + label + "}}", value)
                points = [(float(at), float(value)) for at, value in line["values"] if value not in ("NaN", "+Inf")]
                if points:
                    found.append((name, points))
        return found


def draw(dashboard: dict[str, Any], questions: Questions) -> str:
    """The page."""
    boxes = []
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        style = (
            f"left:{place['x'] * COLUMN_PX + 8}px;top:{place['y'] * ROW_PX + 8}px;"
            f"width:{place['w'] * COLUMN_PX - 8}px;height:{place['h'] * ROW_PX - 8}px"
        )
        title = f"<h2>{html.escape(panel['title'])}</h2>"
        if panel["type"] == "row":
            boxes.append(f'<section class="row" style="{style}">{title}</section>')
            continue
        unit = panel["fieldConfig"]["defaults"].get("unit", "short")
        series = questions.ask(panel)
        whole = panel["fieldConfig"]["defaults"].get("decimals") == 0
        inside = _number(series, unit, whole) if panel["type"] == "stat" else _lines(series, unit, place, questions)
        boxes.append(f'<section style="{style}">{title}{inside}</section>')
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in dashboard["panels"]) * ROW_PX + 16
    return f"""<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; width: {WIDTH_PX}px; height: {height}px; background: #eef0f3; font: 12px sans-serif; color: #222; }}
section {{ position: absolute; background: #fff; border: 1px solid #d5d9df; border-radius: 3px; overflow: hidden;
  box-sizing: border-box; padding: 4px 8px; }}
section.row {{ background: none; border: 0; padding: 2px 0; }}
h2 {{ font-size: 12px; margin: 0 0 2px; font-weight: 600; }} .row h2 {{ font-size: 14px; }}
p {{ font-size: 34px; margin: 14px 0 0; text-align: center; }} small {{ color: #777; }}
ul {{ list-style: none; margin: 0; padding: 0; max-height: 32px; overflow: hidden; }}
li {{ display: inline-block; margin-right: 10px; }} li::before {{ content: "■ "; color: var(--c); }}
</style>{"".join(boxes)}"""


def _number(series: list[Series], unit: str, whole: bool) -> str:
    if not series:
        return "<p><small>no data</small></p>"
    value = series[0][1][-1][1]
    return f"<p>{_say(round(value) if whole else value, unit)}</p>"


def _lines(series: list[Series], unit: str, place: dict[str, int], questions: Questions) -> str:
    if not series:
        return "<p><small>no data</small></p>"
    wide, high, left = place["w"] * COLUMN_PX - 26, place["h"] * ROW_PX - 84, 52
    top = max((value for _, points in series for _, value in points), default=0) or 1.0
    span = questions.end - questions.start
    drawn = [
        f'<line x1="{left}" x2="{wide}" y1="{high * k / 4 + 6:.1f}" y2="{high * k / 4 + 6:.1f}" stroke="#e4e7eb"/>'
        f'<text x="{left - 6}" y="{high * k / 4 + 10:.1f}" text-anchor="end" fill="#666">'
        f"{_say(top * (4 - k) / 4, unit)}</text>"
        for k in range(5)
    ]
    for number, (_, points) in enumerate(series):
        path, before = "", 0.0
        for at, value in points:
            joined = "L" if at - before < 1.5 * span / STEPS else "M"  # nothing was there in between
            path += (
                f"{joined}{left + (at - questions.start) / span * (wide - left):.1f},{6 + high * (1 - value / top):.1f}"
            )
            before = at
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    ticks = [
        f'<text x="{left + (wide - left) * k / 3:.0f}" y="{high + 20}" text-anchor="{"start" if k == 0 else "end"}" '
        f'fill="#666">{time.strftime("%H:%M", time.gmtime(questions.start + span * k / 3))}</text>'
        for k in range(4)
    ]
    names = "".join(
        f'<li style="--c:{COLOURS[number % len(COLOURS)]}">{html.escape(name)}</li>'
        for number, (name, _) in enumerate(series)
    )
    return f'<svg width="{wide + 4}" height="{high + 24}">{"".join(drawn)}{"".join(ticks)}</svg><ul>{names}</ul>'


def _say(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 2**30:.1f} GiB"
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s":
        return f"{value:.1f} s" if value < 90 else f"{value / 60:.1f} min"
    return f"{value:.3g}"


def main() -> None:
    """Ask, draw, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", required=True, help="its address")
    parser.add_argument("--minutes", type=float, default=15, help="how far back")
    parser.add_argument("--namespace", default="nightjar", help="the label that its targets carry")
    parser.add_argument("--out", type=Path, required=True, help="a PNG")
    given = parser.parse_args()
    page = draw(
        json.loads(DASHBOARD.read_text(encoding="utf-8")),
        Questions(given.prometheus, given.minutes, given.namespace),
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": WIDTH_PX, "height": 800})
        window.set_content(page)
        given.out.write_bytes(window.screenshot(full_page=True))
        browser.close()


if __name__ == "__main__":
    main()
