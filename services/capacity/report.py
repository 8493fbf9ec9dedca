"""The answer for people: sentences, a table and three curves, on one page and as files."""

from pathlib import Path

from markupsafe import escape

from services.capacity.calibration import Calibration
from services.capacity.curves import Axis, Line, draw
from services.capacity.day import studies_per_s
from services.capacity.sizing import Goal, Sizing, simulate_hour, size

SIZES = (1000.0, 10_000.0, 100_000.0, 1_000_000.0)

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;
color-scheme:light dark}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right}td:first-child,th:first-child{text-align:left}
svg{max-width:100%}"""


def write_report(out: Path, calibration: Calibration, sizing: Sizing, goal: Goal) -> list[Path]:
    """capacity.html with everything, and each curve as an SVG of its own; the paths."""
    out.mkdir(parents=True, exist_ok=True)
    curves = {
        "capacity-replicas.svg": replicas_curve(calibration, goal),
        "capacity-waits.svg": waits_curve(calibration, sizing),
        "capacity-day.svg": day_curve(calibration, sizing),
    }
    for name, drawn in curves.items():
        (out / name).write_text(drawn, encoding="utf-8")
    page = out / "capacity.html"
    page.write_text(_page(calibration, sizing, list(curves.values())), encoding="utf-8")
    return [page, *(out / name for name in curves)]


def replicas_curve(calibration: Calibration, goal: Goal) -> str:
    """Replicas by part over studies a day, both by powers of ten."""
    sizings = [size(calibration, number, goal) for number in SIZES]
    lines = [
        Line(name, [(each.studies_per_day, each.replicas[name]) for each in sizings]) for name in sizings[0].replicas
    ]
    return draw("Replicas for a number of studies", Axis("studies a day", log=True), Axis("replicas", log=True), lines)


def waits_curve(calibration: Calibration, sizing: Sizing) -> str:
    """From the last slice to the flag over replicas of the model asked most, the others as in the answer."""
    model = max(calibration.models, key=lambda name: sizing.busy[name] * sizing.replicas[name])
    chosen = sizing.replicas[model]
    least = max(1, int(sizing.busy[model] * chosen) + 1)
    counts = sorted({least + round(number * max(1.0, (2 * chosen - least) / 8)) for number in range(9)})
    waits = [
        simulate_hour(calibration, sizing.studies_per_s, sizing.replicas | {model: count})[0][model] for count in counts
    ]
    shown = {
        "99th percentile": [each.p99_s for each in waits],
        "95th percentile": [each.p95_s for each in waits],
        "median": [each.p50_s for each in waits],
    }
    lines = [Line(name, list(zip(map(float, counts), seconds, strict=True))) for name, seconds in shown.items()]
    return draw(f"Last slice to flag at the busiest hour: {model}", Axis(f"replicas of {model}"), Axis("s"), lines)


def day_curve(calibration: Calibration, sizing: Sizing) -> str:
    """The 95th percentile from the last slice to the flag through the day, by model."""
    hours = range(24)
    waits = [
        simulate_hour(calibration, studies_per_s(sizing.studies_per_day, hour), sizing.replicas)[0] for hour in hours
    ]
    lines = [
        Line(model, [(hour, each[model].p95_s) for hour, each in zip(hours, waits, strict=True)])
        for model in calibration.models
    ]
    return draw("Last slice to flag through the day, 95th percentile", Axis("hour"), Axis("s"), lines)


def sentences(calibration: Calibration, sizing: Sizing) -> list[str]:
    """What the figures rest on and what they leave out."""
    said = [
        f"{sizing.studies_per_day:,.0f} studies a day are {sizing.studies_per_s:.3g} a second at the busiest hour, "
        f"{sizing.gigabytes_a_day:,.0f} GB a day.",
        "Run two routers and two of the pages wherever one must not be missed; the model counts only what load needs.",
        f"Work of a study as measured on {calibration.at} (commit {calibration.commit}): {calibration.conditions}",
    ]
    if not sizing.reached:
        said.insert(0, "The waits asked for are not reached with these replicas.")
    if sizing.beyond_measured > 1:
        said.append(
            f"That is {sizing.beyond_measured:,.0f} times the rate of those measurements, which nobody has tried: one "
            "Postgres, one volume and the network are taken to keep up."
        )
        if "postgres" in sizing.cores:
            said.append(f"By the same measure Postgres would take {sizing.cores['postgres']:.2g} cores.")
    return said


def _page(calibration: Calibration, sizing: Sizing, curves: list[str]) -> str:
    replicas = "".join(
        f"<tr><td>{escape(name)}</td><td>{count}</td>"
        f"<td>{'' if name not in sizing.busy else f'{sizing.busy[name]:.0%}'}</td></tr>"
        for name, count in sizing.replicas.items()
    )
    waits = "".join(
        f"<tr><td>{escape(model)}</td><td>{each.p50_s:.1f}</td><td>{each.p95_s:.1f}</td><td>{each.p99_s:.1f}</td>"
        f"<td>{each.wait_p95_s:.1f}</td></tr>"
        for model, each in sizing.waits.items()
    )
    text = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences(calibration, sizing))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Capacity</title><style>{_STYLE}</style>'
        f"<h1>{sizing.studies_per_day:,.0f} studies a day</h1>{text}"
        "<table><tr><th>Part</th><th>Replicas</th><th>Busy</th></tr>"
        f"{replicas}</table><h2>Last slice to flag at the busiest hour, seconds</h2>"
        "<table><tr><th>Model</th><th>Median</th><th>95 %</th><th>99 %</th><th>of it waiting, 95 %</th></tr>"
        f"{waits}</table>{''.join(curves)}</html>\n"
    )
