"""`stepdown export`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from stepdown import native, packing, recipe
from stepdown.errors import InputError
from stepdown.runtime import Source
from stepdown.runtime.long_texts import WAYS


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--cell", help="The cell whose model is packed.  [default: the one of the run's own bundle]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder or a .stepdown file.  [default: CELL.stepdown; CELL with --format native]",
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "int8"]),
    default="float32",
    show_default=True,
    help="int8 takes a quarter of the bytes for the network, and as long to answer. It is compared with float32 on "
    "texts of the run, and refused if more than 0.5% of them are answered otherwise (by a number: if it is off by more "
    "than 5% of the numbers' standard deviation), or if 0.3 points of accuracy, of micro F1 or of the correlation are "
    "lost (told only where 2,000 labelled texts are there).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "native"]),
    default="onnx",
    show_default=True,
    help="onnx is a bundle, which runs without torch; native is a folder in Hugging Face's layout, for transformers "
    "and txtai, of a model that has one.",
)
@click.option("--accept-loss", is_flag=True, help="Write int8 weights whatever they change.")
@click.option(
    "--max-length",
    type=click.IntRange(4, 1 << 20),
    help="Most tokens of a text that are read.  [default: data.max_length of the recipe]",
)
@click.option(
    "--long-texts",
    type=click.Choice(WAYS),
    help="How texts of more tokens than data.max_length are read: the mean over their sentences, or the mean of that "
    "and of the whole.  [default: like any other]",
)
@click.option(
    "--rename", metavar="OLD=NEW", multiple=True, help="Give a label another name; may be repeated."
)
@click.option("--name", help="The title of the card.  [default: the run's name]")
@click.option(
    "--sources",
    metavar="FILE",
    help="A recipe or a TOML file whose [[sources]] (name, role, licence) the card names.  [default: the run's recipe]",
)
@click.option(
    "--licence",
    metavar="ID",
    help="The model's own licence, for the card.  [default: what all sources state]",
)
@click.option(
    "--language",
    metavar="CODE",
    multiple=True,
    help="A language that it reads, for the card, such as en; may be repeated.",
)
def export(
    run: Path,
    cell: str | None,
    out: Path | None,
    form: str,
    weights: str,
    accept_loss: bool,
    max_length: int | None,
    long_texts: str | None,
    rename: tuple[str, ...],
    name: str | None,
    sources: str | None,
    licence: str | None,
    language: tuple[str, ...],
) -> None:
    """Pack a model of the finished run in the folder RUN as a bundle that runs without torch, or for other tools."""
    given = recipe.load_sources(sources) if sources else None
    wishes = packing.Wishes(
        weights="int8" if weights == "int8" else "float32",
        accept_loss=accept_loss,
        max_length=max_length,
        long_texts=next((way for way in WAYS if way == long_texts), None),
        title=name,
        renamed=_renamed(rename),
        sources=None if given is None else [Source(one.name, one.role, one.licence) for one in given],
        licence=licence,
        languages=_languages(language),
    )
    if form == "native":
        click.echo(str(native.export(run, cell, out, wishes)))
        return
    path, cost = packing.export_cell(run, cell, out, wishes)
    if cost is not None:
        click.echo(f"Stored as int8, {cost}.", err=True)
    click.echo(str(path))


def _languages(codes: tuple[str, ...]) -> tuple[str, ...]:
    for code in codes:
        if not re.fullmatch("[a-z]{2,3}|multilingual", code):
            raise InputError(
                f"--language {code}: expected a code of ISO 639 such as en or deu, or multilingual."
            )
    return codes


def _renamed(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not (sign and old and new):
            raise InputError(f"--rename {pair}: expected OLD=NEW, such as 0=negative.")
        if old in found:
            raise InputError(f"--rename names the label {old!r} twice. Give it one new name.")
        found[old] = new
    return found
