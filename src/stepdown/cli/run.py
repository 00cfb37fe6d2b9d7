"""`stepdown run` and what `demo` shares with it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stepdown import recipe, report, runs
from stepdown.cli.durations import duration
from stepdown.cli.fetching import Fetching
from stepdown.cli.progress import RunProgress
from stepdown.ladder.context import Context
from stepdown.ladder.estimate import Estimate, estimate


@click.command()
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--out", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/NAME]")
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of the recipe.")
@click.option("--dry-run", is_flag=True, help="List the cells, what is done, and the time and disk to come.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON document.")
def run(recipe_name: str, out: Path | None, sets: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run RECIPE, a file or the name of a shipped recipe, or take up where an earlier sitting stopped."""
    chosen = recipe.load(recipe_name, sets)
    run_recipe(chosen, out or Path("runs") / chosen.name, dry_run=dry_run, as_json=as_json)


def run_recipe(chosen: recipe.Recipe, out: Path, *, dry_run: bool, as_json: bool) -> None:
    """Run a recipe into a folder with progress on stderr and its table on stdout."""
    with Fetching() as fetching:
        context = runs.open_run(chosen, out, fetching.tell)
    leads = context.accelerator.is_main_process  # of several processes one speaks
    for line in runs.moved(context) if leads else ():
        click.echo(line, err=True)
    done = runs.finished(context)
    if dry_run:
        planned = _plan(context, estimate(context), as_json)
        if leads:
            click.echo(planned)
        return
    if done is None:
        if leads:
            click.echo("Timing a few steps of each model …", err=True)
        estimates = estimate(context)
        if leads:
            for line in notes(estimates):
                click.echo(line, err=True)
            with RunProgress(estimates) as progress:
                done = runs.work_through(context, progress.tell)
        else:
            done = runs.work_through(context)
    if leads:
        click.echo(json.dumps(done, ensure_ascii=False) if as_json else report.terminal(done))


def _plan(context: Context, found: dict[str, Estimate], as_json: bool) -> str:
    if not as_json:
        return plan_text(context, found)
    cells = [
        {"id": name, "model": e.description, "finished": e.finished, "seconds": e.seconds, "bytes": e.bytes}
        for name, e in found.items()
    ]
    seconds, size = _sums(found)
    return json.dumps({"cells": cells, "seconds": seconds, "bytes": size}, ensure_ascii=False)


def plan_text(context: Context, found: dict[str, Estimate]) -> str:
    """The cells of a run, a line each, and what is to come."""
    width = max(len(name) for name in found)
    lines = [
        f"{name:<{width}}  {'done' if e.finished else 'about ' + duration(e.seconds):>12}  {e.description}"
        for name, e in found.items()
    ]
    seconds, size = _sums(found)
    if "direct" in context.recipe.compare.arms and not context.dataset.train.is_labelled:
        lines.append("direct is left out: no text of train has a label to learn from")
    if context.plan.idle:
        idle = ", ".join(map(str, context.plan.idle))
        lines.append(f"rungs that no arm asks for, not trained (add chain or dense to compare.arms): {idle}")
    lines.append(
        f"{len(found)} cells, about {duration(seconds)} and {size / 1e6:,.0f} MB to come in {context.out}"
    )
    return "\n".join(lines)


def notes(found: dict[str, Estimate]) -> list[str]:
    """What checkpoints hold or lack, each line once, however many cells start from one."""
    return list(dict.fromkeys(line for one in found.values() for line in one.notes))


def _sums(found: dict[str, Estimate]) -> tuple[float, int]:
    return sum(e.seconds for e in found.values()), sum(e.bytes for e in found.values())
