"""`nightjar model shadow`, `evidence`, `promote` and `rollback`: which version of a model serves."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from services.console import AsJson, Config, out, print_json, running_settings
from services.errors import Reject, SettingsError
from services.processes import user_name
from services.settings import InferenceSettings, load_settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from models.shelf import Shelf
    from services.context import Context
    from services.lifecycle.evidence import Evidence
    from services.lifecycle.reference import Watched


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("shadow")(model_shadow)
    app.command("evidence")(model_evidence)
    app.command("canary")(model_canary)
    app.command("promote")(model_promote)
    app.command("rollback")(model_rollback)
    app.command("reference")(model_reference)
    app.command("drift")(model_drift)


def inference_settings(config: Path | None) -> InferenceSettings:
    """The settings of inference, the site's models known from here on."""
    from models.registry import use_shelf

    settings = load_settings(config).inference
    use_shelf(settings.models_dir)
    return settings


def shelf_of(config: Path | None) -> "Shelf":
    from models.shelf import Shelf

    folder = inference_settings(config).models_dir
    if folder is None:
        raise SettingsError("inference.models_dir is missing. Name the folder where added models are to be kept.")
    return Shelf(folder)


def model_shadow(
    name: str,
    version: Annotated[str | None, typer.Argument(help="Which; without one, none any more.")] = None,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Of the studies it sees.")] = 1.0,
    config: Config = None,
) -> None:
    """Have a version answer beside the live one, unseen by readers. Example: nightjar model shadow ich 0.4.0"""
    from services.lifecycle.standing import put_in_shadow

    put_in_shadow(shelf_of(config), name, version, share)
    what = "No version answers" if version is None else f"{version} answers"
    out.print(f"{what} beside {name} once the service is restarted.", highlight=False)


def model_evidence(name: str, version: str, config: Config = None, as_json: AsJson = False) -> None:
    """Say what a version showed beside the live one. Example: nightjar model evidence ich 0.4.0"""
    from services.lifecycle.evidence import judge
    from services.lifecycle.standing import gather

    with _ledger(config) as context:
        evidence = gather(context, name, version)
        unmet = judge(evidence, context.settings.promotion)
    if as_json:
        print_json(asdict(evidence) | {"flags_lost": evidence.flags_lost, "unmet": unmet})
    else:
        _show_evidence(evidence)
        for sentence in unmet or ["The policy is met."]:
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if unmet:
        raise typer.Exit(1)


def model_canary(
    name: str,
    version: str,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Of the studies whose readers see it.")] = 0.1,
    config: Config = None,
) -> None:
    """Show a shadow's answers for a share of the studies. Example: nightjar model canary ich 0.4.0 --share 0.1"""
    from services.lifecycle.standing import begin_canary

    shelf = shelf_of(config)
    with _ledger(config) as context:
        begin_canary(context, shelf, name, version, share, account=user_name())
    out.print(
        f"{name} {version} answers for {share:.1%} of the studies once the service is restarted. To end it: "
        f"nightjar model rollback {name}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def model_promote(name: str, version: str, config: Config = None) -> None:
    """Have a version serve, if its evidence meets the policy. Example: nightjar model promote ich 0.4.0"""
    from services.lifecycle.standing import promote

    shelf = shelf_of(config)
    with _ledger(config) as context:
        promote(context, shelf, name, version, account=user_name())
    out.print(f"{name} {version} serves once the service is restarted.", highlight=False)


def model_rollback(
    name: str,
    reason: Annotated[str | None, typer.Option(help="Why, for the record; no patient's data.")] = None,
    config: Config = None,
) -> None:
    """End a canary, or have the version serve again that was live before. Example: nightjar model rollback ich"""
    from services.lifecycle.standing import roll_back

    shelf = shelf_of(config)
    canary = shelf.standing(name).canary
    with _ledger(config) as context:
        card = roll_back(context, shelf, name, account=user_name(), reason=reason)
    out.print(
        f"{name} {card.version} answers for every study from now on."
        if canary
        else f"{name} {card.version} serves once the service is restarted.",
        highlight=False,
    )


def model_reference(name: str, config: Config = None) -> None:
    """Hold later studies against those answered so far. Example: nightjar model reference ich"""
    from models.registry import load_card
    from services.lifecycle.drift import FEWEST
    from services.lifecycle.reference import record

    inference_settings(config)
    card = load_card(name)
    with _ledger(config) as context, context.pool.connection() as connection:
        studies = record(connection, card, account=user_name())
    if studies < FEWEST:
        raise Reject(f"{name} {card.version} has answered {studies} studies; a reference needs {FEWEST}.")
    out.print(f"Later studies of {name} {card.version} are held against {studies}.", highlight=False)


def model_drift(
    name: Annotated[str | None, typer.Argument(help="Which; without one, all that serve.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say whether images and answers are still what they were. Example: nightjar model drift ich"""
    from services.ledger.served_models import served_models
    from services.lifecycle.reference import watch

    with _ledger(config) as context, context.pool.connection() as connection:
        served = {model.name: model for model in served_models(connection)}
        if name is not None and name not in served:
            raise Reject(f"{name} is not served; there are {', '.join(served)}.")
        found = [
            watch(connection, model.name, model.version, model.weights_digest)
            for model in served.values()
            if name in (None, model.name)
        ]
    if as_json:
        print_json([asdict(each) | {"drifted": [d.figure for d in each.drifts if d.drifted]} for each in found])
    else:
        for each in found:
            _show_drift(each)
    if any(drift.drifted for each in found for drift in each.drifts):
        raise typer.Exit(1)


def _show_drift(watched: "Watched") -> None:
    who = f"{watched.model} {watched.version}"
    if watched.reference is None:
        sentence = f"{who}: no reference. nightjar model reference {watched.model} records what there is now."
    else:
        since = f"{watched.reference.studies} studies until {watched.reference.at:%Y-%m-%d %H:%M}"
        sentence = f"{who}: {watched.studies} newest studies against {since}."
    out.print(sentence, highlight=False, soft_wrap=True)
    if watched.reference is not None and not watched.drifts:
        out.print("That is too few to tell anything.", highlight=False)
    if watched.drifts:
        table = Table("Figure", "Index", "Limit", "Before", "Now", "", title_justify="left")
        for drift in watched.drifts:
            before, now = (value if isinstance(value, str) else f"{value:.3g}" for value in (drift.before, drift.now))
            mark = "drifted" if drift.drifted else ""
            table.add_row(drift.figure, f"{drift.index:.2f}", f"{drift.limit:.2f}", before, now, mark)
        out.print(table)


def _ledger(config: Path | None) -> "AbstractContextManager[Context]":
    from services.parts import open_context

    return open_context(running_settings(config))


def _show_evidence(evidence: "Evidence") -> None:
    out.print(
        f"{evidence.studies} studies answered by both, {evidence.failures} failed. Flags: {evidence.both} both, "
        f"{evidence.live_only} live alone, {evidence.new_only} new alone, {evidence.neither} neither.",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("Label", "Studies", "Dice", "Difference", "New - live", title_justify="left")
    for name, label in evidence.labels.items():
        table.add_row(
            name,
            str(label.studies),
            f"{label.dice:.2f}",
            f"{label.difference_ml:.1f} mL",
            f"{label.bias_ml:+.1f} mL",
        )
    if evidence.labels:
        out.print(table)
    if evidence.time_ratio is not None:
        out.print(f"Time: {evidence.time_ratio:.2f} of the live version's.", highlight=False)
    if evidence.experts is not None:
        found = evidence.experts
        out.print(
            f"Against experts, {found.studies} studies: Dice {found.new_dice:.2f}, live {found.live_dice:.2f}.",
            highlight=False,
        )
