"""`stepdown report`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from stepdown import report as reports
from stepdown.errors import InputError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(list(reports.FORMATS)), default="terminal", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def report(run: Path, form: str, as_json: bool) -> None:
    """Show what the run in the folder RUN found."""
    path = run / "results.json" if run.is_dir() else run
    try:
        results = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{path} is not there: the run is not finished, or {run} is no run's folder. "
            "Finish it with: stepdown run RECIPE"
        ) from None
    except ValueError as error:
        raise InputError(f"{path} is not the JSON of a run's results: {error}") from error
    if run.is_dir() and (run / "bundle").is_dir():
        results["bundle"] = str(run / "bundle")  # where it is now, seen from here
    click.echo(reports.FORMATS["json" if as_json else form](results))
