"""`stepdown predict`: labels for texts, as they come."""

from __future__ import annotations

import io
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import click

from stepdown.cli.columns import column
from stepdown.cli.counting import RowProgress
from stepdown.errors import InputError, StoreError

if TYPE_CHECKING:
    from stepdown.errors import DataError
    from stepdown.runtime.predict import Work

# Messages about single bad rows, before only their number is told.
_MOST_TOLD = 5


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--input", "source", metavar="FILE", help="A .csv, .tsv, .jsonl, .txt or .parquet file; - is stdin."
)
@column
@click.option(
    "--output", metavar="FILE", help="Write to a file, a table if it is a .csv or .tsv; - is stdout."
)
@click.option(
    "--top", type=click.IntRange(min=0), show_default="5", help="Labels to score; 0: all. Not for numbers."
)
@click.option(
    "--abstain-below",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="Give no label where the highest probability is less than P. Not for numbers.",
)
@click.option("--skip-bad-rows", is_flag=True, help="Leave out rows that cannot be read, and count them.")
def predict(
    bundle: str,
    texts: tuple[str, ...],
    source: str | None,
    columns: tuple[str, ...],
    output: str | None,
    top: int | None,
    abstain_below: float | None,
    skip_bad_rows: bool,
) -> None:
    """Label texts with a bundle: TEXTs, the rows of a file, or the lines of standard input.

    BUNDLE is a folder, a .stepdown file, or the name of a model that comes with stepdown (sentiment). Every text is
    answered with one JSON object on a line: the text, its label, the label's probability as score, and the best
    scores; where several labels may apply, labels in the place of label and score; where a number is predicted, its
    value alone. The columns of a file are kept. In a table labels are joined by ; and scores are JSON.

    A bundle that reads pairs takes two TEXTs as one pair, two columns of a file, or lines of two texts with a tab
    between them; the text of its answers is a list of the two.

    With --abstain-below 0.9, a text whose highest probability is less than 0.9 gets no label: its label is null (its
    labels are empty), and "abstained": true stands beside its scores. How many there were is said at the end.
    """
    if texts and source is not None:
        raise InputError("Both texts and --input were given. Give one of them.")
    if "" in (source, output):
        raise InputError("A name of a file is empty. Name the file, or leave the option out.")
    if columns and source in (None, "-"):
        raise InputError("--column names a column of a file. Name the file with --input FILE.")
    try:
        from stepdown.runtime.predict import Work

        # As Ctrl-C does it, so that no half-written file is left beside --output.
        with suppress(ValueError):  # only the main thread may
            signal.signal(signal.SIGTERM, _terminated)
        _predict(
            bundle, Work(texts, _path(source), columns, _path(output), top, abstain_below), skip_bad_rows
        )
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _predict(bundle: str, work: Work, skip_bad_rows: bool) -> None:
    from stepdown.runtime import Classifier
    from stepdown.runtime.predict import run

    told = 0

    def tell(bad: DataError) -> None:
        nonlocal told
        told += 1
        if told <= _MOST_TOLD:
            click.echo(f"skipped: {bad}", err=True)

    classifier = Classifier.load(bundle)
    stdin, stdout = _stdin(work), _stdout(work)
    is_typed = not work.texts and work.input is None and stdin.isatty()
    if is_typed:
        what = "two texts with a tab between them" if classifier.is_pair else "a text"
        click.echo(f"Type {what} and press Enter; Ctrl-D ends.", err=True)
    # Answers that are seen as they come tell enough.
    is_seen = is_typed or (work.output is None and stdout.isatty())
    progress = None if work.texts or is_seen else RowProgress()
    try:
        counts = run(
            classifier,
            work,
            stdin,
            stdout,
            on_bad=tell if skip_bad_rows else None,
            on_progress=None if progress is None else lambda counts: progress(counts.rows, counts.share),
        )
    finally:
        if progress:
            progress.end()
    if work.abstain_below is not None:
        least = f"{work.abstain_below:g}"
        click.echo(
            f"Abstained, no label reaching {least}: {counts.abstained:,} of {counts.rows:,}.", err=True
        )
    if counts.skipped:
        click.echo(f"Rows that could not be read: {counts.skipped:,}; answered: {counts.rows:,}.", err=True)


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _stdin(work: Work) -> BinaryIO:
    """Standard input, which a process may lack; nobody minds where it is not read.

    Raises:
        InputError: it is to be read.
    """
    if sys.stdin is not None:
        return sys.stdin.buffer
    if not work.texts and work.input is None:
        raise InputError("Standard input is closed. Give texts, or name a file with --input FILE.")
    return io.BytesIO()


def _stdout(work: Work) -> BinaryIO:
    """Standard output, as `_stdin`.

    Raises:
        StoreError: it is to be written.
    """
    if sys.stdout is not None:
        return sys.stdout.buffer
    if work.output is None:
        raise StoreError("Standard output is closed. Name a file with --output FILE.")
    return io.BytesIO()


def _path(named: str | None) -> Path | None:
    return None if named in (None, "-") else Path(str(named))
