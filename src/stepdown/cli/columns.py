"""The option that names the columns of a text, alike in all commands that read texts for a model."""

from __future__ import annotations

import click

column = click.option(
    "--column",
    "columns",
    metavar="NAME",
    multiple=True,
    help="The column that holds the text; twice for the two of a pair.  [default: found by its name]",
)
