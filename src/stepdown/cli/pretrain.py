"""`stepdown pretrain`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stepdown import pretraining, recipe
from stepdown.cli.progress import Fetching, PretrainProgress


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for it.  [default: runs/NAME]")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON document.")
def pretrain(recipe_name: str, out: Path | None, sets: tuple[str, ...], as_json: bool) -> None:
    """Train a student to name hidden words of unlabelled text, by RECIPE, or go on where an earlier sitting stopped."""
    chosen = recipe.load_pretraining(recipe_name, sets)
    with Fetching() as fetching:
        context = pretraining.open_pretraining(chosen, out or Path("runs") / chosen.name, fetching.tell)
    click.echo(context.facts.as_text(), err=True)
    with PretrainProgress() as progress:
        told = pretraining.work_through(context, progress.tell)
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else pretraining.summary(told))
