"""`stepdown label`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

import click

from stepdown import assets, labelling
from stepdown.classifiers import named
from stepdown.cli.columns import column
from stepdown.cli.counting import RowProgress
from stepdown.cli.fetching import Fetching
from stepdown.errors import InputError
from stepdown.propose import name_of


@click.command()
@click.argument("teacher")
@click.argument("source", metavar="DATA")
@click.option(
    "--output",
    metavar="FILE",
    help="A .jsonl, .csv or .parquet file; - is stdout, as JSON lines.  [default: NAME.labelled.jsonl]",
)
@column
@click.option(
    "--scores",
    type=click.Choice(["probabilities", "logits"]),
    default="probabilities",
    show_default=True,
    help="What is written of each label.",
)
@click.option(
    "--prefix",
    default=labelling.PREFIX,
    show_default=True,
    help="What the columns of scores begin with, before the label's name.",
)
@click.option(
    "--max-length",
    type=click.IntRange(4, 1 << 20),
    help="Most tokens of a text that are read.  [default: what the model was made for]",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document that says what was written.")
def label(
    teacher: str,
    source: str,
    output: str | None,
    columns: tuple[str, ...],
    scores: Literal["probabilities", "logits"],
    prefix: str,
    max_length: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Have TEACHER label the texts of DATA, and write its rows with a column of scores for each label.

    TEACHER is a model folder, a hub id, a bundle, or the name of a model that comes with stepdown (sentiment), and
    knows its labels. Recipes read the file back as a teacher that is not at hand: teacher.model = "labels:score_*".
    Interrupted and started again, it goes on where it stopped: what is labelled is kept in the cache.
    """
    if output == "-" and as_json:
        raise InputError("--json speaks on stdout, so the rows cannot go there. Name a file with --output.")
    target = None if output == "-" else Path(output or f"{name_of(source)}.labelled.jsonl")
    if target is not None and target.exists() and not force:
        raise InputError(
            f"{target} is there already. Name another file with --output, or replace it with --force."
        )
    with Fetching() as fetching, assets.following(progress=fetching.tell):
        opened = named(teacher, max_length)
    progress = RowProgress()
    try:
        written, counts = labelling.label(
            opened,
            source,
            target or sys.stdout.buffer,
            labelling.Wanted(columns, scores, prefix),
            lambda counts: progress(counts.rows),
        )
    finally:
        progress.end()
    if counts.without_text:
        click.echo(f"Rows without a text, left out: {counts.without_text:,}.", err=True)
    if target is None:
        return
    model = f"labels:{prefix}*"
    click.echo(f'Recipes read it back with teacher.model = "{model}".', err=True)
    document = {
        "output": str(target),
        "rows": counts.rows,
        "without_text": counts.without_text,
        "task": opened.task,
        "label_names": list(opened.label_names),
        "scores": "numbers" if opened.task == "regression" else scores,
        "columns": list(written),
        "teacher": model,
    }
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else str(target))
