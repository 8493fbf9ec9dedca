"""`nightjar train`: a version goes on learning from what experts accepted, and which studies they should see next."""

from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from services.console import AsJson, Config, err, out, print_json, running_settings
from services.errors import SettingsError
from services.lifecycle_commands import inference_settings

if TYPE_CHECKING:
    from services.review.next_cases import Choice

train_app = typer.Typer(help="Training on accepted labels.", no_args_is_help=True, rich_markup_mode=None)

TASKS = ("ich", "ais")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(train_app, name="train")


@train_app.command()
def finetune(
    task: Annotated[str, typer.Option(metavar="|".join(TASKS), help="Which model goes on learning.")],
    release: Annotated[Path, typer.Option(metavar="DIR", help="What nightjar dataset export wrote.")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    start: Annotated[
        str | None, typer.Option("--from", metavar="VERSION", help="Which version goes on; else the one that serves.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Of the new one; else the old one's with the release's digest.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Synthetic cases to mix in, half and half: a pool of the model's training."),
    ] = None,
    known: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Held-out studies of the kind it knows, images/ and truth/: what it forgets."),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of training, by the clock.")] = 30,
    learning_rate: Annotated[float, typer.Option(min=1e-7, max=1, help="At the start; it falls to zero.")] = 3e-4,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Slices a step.")] = 12,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 2,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Go on training on a release. Example: nightjar train finetune --task ich --release ich-1 --out ich-new

    DIR is then what nightjar model add takes. Exit code 1 when the new version is no better on the validation split, or
    has forgotten what the old one could do on the studies of --known.
    """
    from models.registry import load_card, weights_of
    from services.datasets.aside import refuse_existing
    from services.datasets.release.lessons import open_release, read_known, read_lessons

    if task not in TASKS:
        raise SettingsError(f"--task {task}: write {' or '.join(TASKS)}.")
    try:
        from models.finetune.run import finetune as run
        from models.training import Plan
    except ImportError as error:
        raise SettingsError(
            "Training needs torch and onnx, which serving does without: pip install -r requirements/train.txt, on any "
            "machine that can read the release."
        ) from error

    refuse_existing(out_dir)
    inference_settings(config)
    card = load_card(task, start)
    found = open_release(release)
    with err.status("Reading the release"):
        lessons = read_lessons(found, card)
        knew = () if known is None else read_known(known, card)
    named = version or f"{card.version}-{lessons.digest[:8]}"
    if named == card.version:
        raise SettingsError(f"--version {named} is what it goes on from. Give the new one another.")
    plan = Plan(minutes, seed, batch, learning_rate)
    with err.status(f"Training on {len(lessons.train)} studies, {minutes:g} minutes"):
        made = run(
            card, weights_of(card), lessons, out_dir, plan, version=named, replay=replay, known=knew, threads=threads
        )
    if as_json:
        print_json(
            {
                "model": task, "version": named, "parent": card.version, "folder": out_dir, "learned": made.learned,
                "replayed": made.replayed, "before": made.before, "after": made.after, "better": made.is_better,
                "known_before": made.known_before, "known_after": made.known_after, "forgets": made.forgets,
            }
        )  # fmt: skip
    else:
        out.print(
            f"{task} {named} went on from {card.version} with {made.learned} studies of {lessons.name}"
            f"{f' and {made.replayed} synthetic ones' if made.replayed else ''}; written to {out_dir}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        _show(made.before, made.after, f"{len(lessons.validation)} studies of the validation split")
        if known is not None:
            _show(made.known_before, made.known_after, f"{len(knew)} studies of the kind it knew")
        if made.is_better is False:
            out.print("It is not better than the version it went on from.", highlight=False)
        if made.forgets:
            out.print(
                "It forgot some of what that version could do. Mix in cases of that one's own training: --replay DIR.",
                highlight=False,
                soft_wrap=True,
            )
        if not (made.is_better is False or made.forgets):
            out.print(
                f"Take it: nightjar model add {out_dir}, nightjar model shadow {task} {named}, nightjar model promote.",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    if made.is_better is False or made.forgets:
        raise typer.Exit(1)


def _show(before: dict[str, float], after: dict[str, float], studies: str) -> None:
    if not (before or after):
        out.print(f"{studies.capitalize()}: nothing is marked there, so nothing was measured.", highlight=False)
        return
    table = Table("Label", "Dice before", "Dice after", title=studies)
    for name in {**before, **after}:
        table.add_row(name, *(f"{dice[name]:.3f}" if name in dice else "–" for dice in (before, after)))
    out.print(table)


@train_app.command("select")
def choose_cases(
    task: Annotated[str, typer.Option(help="Which task the workitems are of, such as ich.")],
    strategy: Annotated[
        str, typer.Option(metavar="random|entropy|disagreement", help="How; see docs/datasets.md.")
    ] = "random",
    count: Annotated[int, typer.Option(min=1, max=10000, help="How many, at most.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Another one draws others.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which, and make nothing.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make workitems of the studies worth correcting next. Example: nightjar train select --task ich --count 20

    One study a patient, at most a half from one scanner; none whose images a reader found too poor, and none without
    consent to its release or with a hold (nightjar dataset consent). Exit code 1 when none was found.
    """
    from services.datasets.choosing import Strategy
    from services.parts import open_context
    from services.review.next_cases import choose_next
    from services.review.tasks import find_task, load_tasks

    if strategy not in set(Strategy):
        raise SettingsError(f"--strategy {strategy}: write {', '.join(Strategy)}.")
    settings = running_settings(config)
    found = find_task(load_tasks(settings.review.tasks), task)
    with open_context(settings) as context:
        choice = choose_next(context, found, Strategy(strategy), count, seed=seed, by=getuser(), make=not dry_run)
    if as_json:
        print_json(
            {
                "candidates": choice.candidates,
                "unfit": choice.unfit,
                "chosen": [
                    {"analysis": each.analysis_id, "workitem": item, "why": why}
                    for each, item, why in zip(choice.chosen, choice.workitems, choice.why, strict=True)
                ],
            }
        )
    else:
        _show_choice(choice)
    if not choice.chosen:
        raise typer.Exit(1)


def _show_choice(choice: "Choice") -> None:
    if choice.chosen:
        table = Table("Workitem", "Why", title_justify="left")
        for item, why in zip(choice.workitems, choice.why, strict=True):
            table.add_row("–" if item is None else str(item), why.removeprefix("Chosen to learn from: ").capitalize())
        out.print(table)
    out.print(f"{len(choice.chosen)} of {choice.candidates} studies that nobody corrects yet.", highlight=False)
    for reason, number in choice.unfit.items():
        out.print(f"Left out: {number}: {reason}", highlight=False, markup=False, soft_wrap=True)
