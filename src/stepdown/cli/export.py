"""`stepdown export`."""

from __future__ import annotations

from pathlib import Path

import click

from stepdown import runs


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--cell", help="The cell whose model is packed.  [default: the one of the run's own bundle]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder or a .stepdown file.  [default: CELL.stepdown]"
)
def export(run: Path, cell: str | None, out: Path | None) -> None:
    """Pack a model of the finished run in the folder RUN as a bundle that runs without torch."""
    click.echo(str(runs.export_cell(run, cell, out)))
