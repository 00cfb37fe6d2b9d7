"""`stepdown check`."""

from __future__ import annotations

from pathlib import Path

import click

from stepdown import recipe, runs
from stepdown.cli.fetching import Fetching
from stepdown.cli.run import notes, plan_text
from stepdown.ladder.estimate import estimate
from stepdown.report.spending import spending
from stepdown.results import parse_spent


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe.")
def check(recipe_name: str, sets: tuple[str, ...]) -> None:
    """Look at RECIPE's data, its teacher and the plan, before time is spent."""
    chosen = recipe.load(recipe_name, sets)
    with Fetching() as fetching:
        context = runs.open_run(chosen, Path("runs") / chosen.name, fetching.tell)
    for line in runs.moved(context):
        click.echo(line, err=True)
    click.echo(context.dataset.facts.as_text())
    click.echo("\n" + context.transfer.facts.as_text())
    click.echo("\n".join(["", "Teacher", *(f"  {line}" for line in runs.check_teacher(context))]))
    found = estimate(context)
    if notes(found):
        click.echo("\n".join(["", "Weights", *(f"  {line}" for line in notes(found))]))
    budgets = {
        position: spending(position, one.description, parse_spent(one.spent))
        for position, one in ((context.plan.cell(name).position, one) for name, one in found.items())
        if one.spent
    }
    if budgets:
        click.echo("\n".join(["", "Budgets", *(f"  {line}" for line in budgets.values())]))
    click.echo("\nPlan\n" + plan_text(context, found))
