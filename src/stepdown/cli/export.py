"""`stepdown export`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from stepdown.errors import InputError, missing_extra
from stepdown.runtime.about import WEIGHT_TYPES
from stepdown.runtime.long_texts import WAYS


@click.command()
@click.argument("run")
@click.option("--cell", help="The cell whose model is packed.  [default: the one of the run's own bundle]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A folder or a .stepdown file; for native and web a folder.  [default: CELL.stepdown; CELL with --format "
    "native; RUN-web with --format web]",
)
@click.option(
    "--weights",
    type=click.Choice(WEIGHT_TYPES),
    default="float32",
    show_default=True,
    help="int8 takes a quarter of the bytes for the network, and as long to answer; int4 halves those of the tables of "
    "embeddings once more, and rarely changes as little. Either is compared with float32 on texts of the run, and "
    "refused if more than 0.5% of them are answered otherwise (by a number: if it is off by more than 5% of the "
    "numbers' standard deviation), or if 0.3 points of accuracy, of micro F1 or of the correlation are lost (told only "
    "where 2,000 labelled texts are there).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "native", "web"]),
    default="onnx",
    show_default=True,
    help="onnx is a bundle, which runs without torch; native is a folder in Hugging Face's layout, for transformers "
    "and txtai, of a model that has one; web is a folder with the page of `stepdown serve`, in which the model runs in "
    "the browser, for any server of plain files. For web RUN may be a bundle, or a model that comes with stepdown.",
)
@click.option("--accept-loss", is_flag=True, help="Write smaller weights whatever they change.")
@click.option(
    "--max-length",
    type=click.IntRange(4, 1 << 20),
    help="Most tokens of a text that are read.  [default: max_length of the recipe]",
)
@click.option(
    "--long-texts",
    type=click.Choice(WAYS),
    help="How texts of more tokens than it was trained with are read: the mean over their sentences, or the mean of "
    "that and of the whole.  [default: like any other]",
)
@click.option(
    "--rename", metavar="OLD=NEW", multiple=True, help="Give a label another name; may be repeated."
)
@click.option("--name", help="The title of the card, and of the page.  [default: the run's name]")
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
@click.pass_context
def export(
    context: click.Context,
    run: str,
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
    """Pack a model of the finished run in the folder RUN: as a bundle, for the browser, or for other tools."""

    def pack(target: Path | None) -> Path:
        try:
            from stepdown import native, packing, recipe
            from stepdown.runtime import Source
        except ModuleNotFoundError as error:
            raise missing_extra(error.name or "?", "train", "Packing a model of a run") from error
        given = recipe.load_sources(sources) if sources else None
        wishes = packing.Wishes(
            weights=next(one for one in WEIGHT_TYPES if one == weights),
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
            return native.export(Path(run), cell, target, wishes)
        path, cost = packing.export_cell(Path(run), cell, target, wishes)
        if cost is not None:
            click.echo(f"Stored as {weights}, {cost}.", err=True)
        return path

    if form != "web":
        click.echo(str(pack(out)))
        return
    from stepdown import web

    if not web.is_run(run):
        _check_alone(context, run)
    try:
        click.echo(str(web.export(run, out, pack=pack, name=name, progress=_Fetching())))
    except ModuleNotFoundError as error:
        raise missing_extra(
            error.name or "?", "web", "--format web, which fetches onnxruntime-web,"
        ) from error


# Options that say how a model of a run is packed.
_PACKING = (
    "cell",
    "weights",
    "accept_loss",
    "max_length",
    "long_texts",
    "rename",
    "sources",
    "licence",
    "language",
)


def _check_alone(context: click.Context, bundle: str) -> None:
    """Raises InputError where something is asked for that only the packing of a run's model can do."""
    for option in _PACKING:
        if context.get_parameter_source(option) == click.core.ParameterSource.COMMANDLINE:
            raise InputError(
                f"--{option.replace('_', '-')} says how a model of a run is packed, and {bundle} is no run. "
                "Name the run's folder, or leave the option out."
            )


class _Fetching:
    """Tells once that something is fetched."""

    told = False

    def __call__(self, done: int, total: int) -> None:
        if not self.told:
            self.told = True
            click.echo(f"Fetching onnxruntime-web ({total / 1e6:.0f} MB, once) …", err=True)


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
