"""`stepdown init`."""

from __future__ import annotations

from pathlib import Path

import click

from stepdown import assets, propose, recipe, store
from stepdown.cli.progress import Fetching
from stepdown.errors import InputError


@click.command()
@click.argument("data")
@click.option("--out", default="recipe.toml", show_default=True, metavar="FILE", help="- is stdout.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(data: str, out: str, force: bool) -> None:
    """Look at DATA, a file, a folder or a hub id, and write a complete, commented recipe for it."""
    to_stdout = out == "-"
    target = Path(out)
    if not to_stdout and target.exists() and not force:
        raise InputError(
            f"{out} is there already and is left as it is. Name another with --out, or add --force."
        )
    with Fetching() as fetching, assets.following(progress=fetching.tell):
        found = propose.propose(data, None if to_stdout else target.parent)
    text = recipe.template(**found.arguments())
    if to_stdout:
        click.echo(text, nl=False)
        return
    store.write_text(target, text)
    click.echo(f"Wrote {out}: {found.task}, {found.rows:,} rows.", err=True)
    click.echo(f"Next: stepdown check {out}, then stepdown run {out}", err=True)
