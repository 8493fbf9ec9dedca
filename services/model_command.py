"""`nightjar engines` and `nightjar model`: what can run networks here, and which models there are."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services import lifecycle_commands
from services.console import AsJson, Config, err, out, print_json
from services.errors import SettingsError
from services.lifecycle_commands import inference_settings, shelf_of

model_app = typer.Typer(help="Models.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(engines)
    lifecycle_commands.register(model_app)
    app.add_typer(model_app, name="model")


def engines(
    measure: Annotated[str | None, typer.Option(metavar="MODEL", help="Time this model's network on each.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say what can run networks here, and why the rest cannot. Example: nightjar engines --measure ich"""
    from models.engines import GPU_ENGINES
    from models.engines.available import list_engines, time_engines
    from models.registry import load_card, weights_of

    settings = inference_settings(config)
    timings = []
    if measure is not None:
        card = load_card(measure)
        if weights_of(card).suffix != ".onnx":
            raise SettingsError(f"--measure {measure}: this model decides by a rule and has no network.")
        with err.status("Running the network"):
            timings = time_engines(
                weights_of(card),
                threads=settings.threads,
                terms=card.terms,
                folder=settings.engine_cache,
            )
    found = list_engines()
    if as_json:
        print_json({"engines": [asdict(entry) for entry in found], "timings": [asdict(timing) for timing in timings]})
        return
    table = Table("Engine", "Version", "On", "Usable", title_justify="left")
    for entry in found:
        chosen = "gpu" if entry.name in GPU_ENGINES else "auto"
        usable = entry.why_not or (f"yes, engine: {chosen}" if entry.automatic else "yes")
        table.add_row(entry.name, entry.version or "–", entry.device or "–", usable)
    out.print(table)
    if timings:
        times = Table("Engine", "Open", "A batch", "Largest difference", title_justify="left")
        for timing in timings:
            times.add_row(timing.name, f"{timing.open_s:.2f} s", f"{timing.run_ms:.0f} ms", f"{timing.difference:.1e}")
        out.print(times)


@model_app.command("list")
def model_list(config: Config = None, as_json: AsJson = False) -> None:
    """List the models with version, inputs and labels. Example: nightjar model list"""
    from models.registry import list_models

    inference_settings(config)
    cards = list_models()
    if as_json:
        print_json([card.model_dump(mode="json") for card in cards])
        return
    table = Table("Model", "Version", "Inputs", "Labels")
    for card in cards:
        table.add_row(
            card.name,
            card.version,
            ", ".join(entry.role for entry in card.inputs),
            ", ".join(label.name for label in card.labels),
        )
    out.print(table)


@model_app.command("show")
def model_show(name: str, config: Config = None) -> None:
    """Print a model's card, its limits and what was measured included. Example: nightjar model show ich"""
    import yaml

    from models.registry import load_card

    inference_settings(config)
    print(yaml.safe_dump(load_card(name).model_dump(mode="json", exclude_none=True), sort_keys=False), end="")


@model_app.command("verify")
def model_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Without one, all.")] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Open models with the weights of their cards. Example: nightjar model verify"""
    from models.errors import ModelError
    from models.registry import list_models, load_model

    inference_settings(config)
    found: dict[str, str | None] = {}
    for name in names or [card.name for card in list_models()]:
        try:
            load_model(name, threads=1)
        except ModelError as error:
            found[name] = str(error)
        else:
            found[name] = None
    if as_json:
        print_json(found)
    else:
        for name, why_not in found.items():
            out.print(f"{name}: {why_not or 'as its card says'}", highlight=False, markup=False, soft_wrap=True)
    if any(found.values()):
        raise typer.Exit(1)


@model_app.command("add")
def model_add(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="model.yaml with its weights (ONNX).")],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a model of your own. Example: nightjar model add lesion-1.0/ --config site.yaml"""
    from models.adding import add_model

    shelf = shelf_of(config)
    card = add_model(directory, shelf)
    live = shelf.standing(card.name).live == card.version
    if as_json:
        print_json({"model": card.name, "version": card.version, "live": live})
        return
    out.print(f"{card.name} {card.version} is in {shelf.folder}.", highlight=False, markup=False, soft_wrap=True)
    out.print(
        f"It serves once inference.models names {card.name} and the service is restarted."
        if live
        else f"It does not serve yet: nightjar model shadow {card.name} {card.version}, then nightjar model promote.",
        highlight=False,
        soft_wrap=True,
    )


@model_app.command("import")
def model_import(
    kind: Annotated[str, typer.Argument(metavar="nnunet|monai", help="What the folder is.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An nnU-Net v2 export, or a MONAI bundle.")],
    card: Annotated[Path, typer.Option(metavar="FILE", help="What you say of the model; see docs/serving.md.")],
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the model's folder goes.")],
    configuration: Annotated[str, typer.Option(help="Of nnU-Net's plans.")] = "3d_fullres",
    fold: Annotated[str, typer.Option(help="Of nnU-Net: a number, or all.")] = "0",
    axes: Annotated[
        str | None, typer.Option(help="Where the network's axes lead; nnU-Net: SPL unless said otherwise.")
    ] = None,
) -> None:
    """Make a model of a network from elsewhere. Example: nightjar model import monai spleen/ --card c.yaml --out m/"""
    try:
        from models.importers.monai import import_monai
        from models.importers.nnunet import import_nnunet
    except ImportError as error:
        raise SettingsError(
            "Importing needs torch and onnx, which serving does without: pip install -r requirements/train.txt."
        ) from error

    if kind not in ("nnunet", "monai"):
        raise SettingsError(f"{kind}: write nnunet or monai.")
    with err.status("Exporting the network"):
        if kind == "nnunet":
            made = import_nnunet(directory, card, out_dir, configuration=configuration, fold=fold, axes=axes or "SPL")
        else:
            made = import_monai(directory, card, out_dir, axes=axes)
    out.print(
        f"{made.name} {made.version} is in {out_dir}. Take it: nightjar model add {out_dir}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@model_app.command("serve-config")
def model_serve_config(config: Config = None, as_json: AsJson = False) -> None:
    """Print what a Ray cluster is to serve, for `serve deploy`. Example: nightjar model serve-config"""
    import yaml

    from services.inference.serve_config import serve_config

    content = serve_config(inference_settings(config))
    if as_json:
        print_json(content)
    else:
        print(yaml.safe_dump(content, sort_keys=False), end="")
