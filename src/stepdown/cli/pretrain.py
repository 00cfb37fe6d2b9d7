"""`stepdown pretrain`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from stepdown import pretraining, recipe
from stepdown.cli.durations import duration
from stepdown.cli.fetching import Fetching
from stepdown.cli.progress import PretrainProgress


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--out", type=click.Path(path_type=Path), help="The folder for it.  [default: runs/NAME]")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe.")
@click.option("--dry-run", is_flag=True, help="Tell what the text is, what is done, and the time to come.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON document.")
def pretrain(recipe_name: str, out: Path | None, sets: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Train a student to name hidden words of unlabelled text, by RECIPE, or go on where an earlier sitting stopped."""
    chosen = recipe.load_pretraining(recipe_name, sets)
    with Fetching() as fetching:
        context = pretraining.open_pretraining(chosen, out or Path("runs") / chosen.name, fetching.tell)
    click.echo(context.facts.as_text(), err=True)
    if dry_run:
        plan = pretraining.estimate(context)
        click.echo(json.dumps(asdict(plan), ensure_ascii=False) if as_json else _told(plan, context.out))
        return
    with PretrainProgress() as progress:
        told = pretraining.work_through(context, progress.tell)
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else pretraining.summary(told))


def _told(plan: pretraining.Estimate, out: Path) -> str:
    return (
        f"{plan.as_text()}\nA pass takes about {duration(plan.seconds_per_epoch)}; about {duration(plan.seconds)} and "
        f"{plan.bytes / 1e6:,.0f} MB to come in {out}"
    )
