"""`stepdown check`."""

from __future__ import annotations

from pathlib import Path

import click

from stepdown import recipe, runs
from stepdown.cli.progress import Fetching
from stepdown.cli.run import plan_text
from stepdown.ladder.estimate import estimate


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe.")
def check(recipe_name: str, sets: tuple[str, ...]) -> None:
    """Look at RECIPE's data, its teacher and the plan, before time is spent."""
    chosen = recipe.load(recipe_name, sets)
    with Fetching() as fetching:
        context = runs.open_run(chosen, Path("runs") / chosen.name, fetching.tell)
    click.echo(context.dataset.facts.as_text())
    click.echo("\n" + context.transfer.facts.as_text())
    click.echo("\n".join(["", "Teacher", *(f"  {line}" for line in runs.check_teacher(context))]))
    click.echo("\nPlan\n" + plan_text(context, estimate(context)))
