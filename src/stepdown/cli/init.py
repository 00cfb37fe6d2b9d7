"""`stepdown init`."""

from __future__ import annotations

from pathlib import Path

import click

from stepdown import assets, propose, recipe, store
from stepdown.cli.fetching import Fetching
from stepdown.errors import InputError


@click.command()
@click.argument("data")
@click.option("--out", default="recipe.toml", show_default=True, metavar="FILE", help="- is stdout.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option(
    "--text", multiple=True, metavar="COLUMN", help="Of the text; twice for a pair. Guessed if absent."
)
@click.option(
    "--label", multiple=True, metavar="COLUMN", help="Of the label; several of 0 and 1. Guessed if absent."
)
@click.option("--no-label", is_flag=True, help="No column is a label: a teacher alone says what texts are.")
@click.option(
    "--teacher", metavar="MODEL", help="A hub id or a folder. [default: demo:minilm-l6, if there are labels]"
)
def init(
    data: str,
    out: str,
    force: bool,
    text: tuple[str, ...],
    label: tuple[str, ...],
    no_label: bool,
    teacher: str | None,
) -> None:
    """Look at DATA, a file, a folder or a hub id, and write a complete, commented recipe for it.

    Where no text has a label, the recipe has a teacher that is fine-tuned already teach from texts alone.
    """
    if label and no_label:
        raise InputError("--label and --no-label exclude each other. Leave one of them out.")
    to_stdout = out == "-"
    target = Path(out)
    if not to_stdout and target.exists() and not force:
        raise InputError(
            f"{out} is there already and is left as it is. Name another with --out, or add --force."
        )
    with Fetching() as fetching, assets.following(progress=fetching.tell):
        found = propose.propose(
            data, None if to_stdout else target.parent, text, None if no_label else label, teacher
        )
    written = recipe.template(**found.arguments())
    if to_stdout:
        click.echo(written, nl=False)
        return
    store.write_text(target, written)
    click.echo(f"Wrote {out}: {found.task}, {found.rows:,} rows.", err=True)
    if found.teacher is None:
        click.echo(
            "No text has a label, so a teacher is needed that is fine-tuned already, and none is named yet: fill in "
            f"[teacher].model in {out}, or begin again with --teacher MODEL --force. If a column holds labels, name it "
            "with --label COLUMN.",
            err=True,
        )
    click.echo(f"Next: stepdown check {out}, then stepdown run {out}", err=True)
