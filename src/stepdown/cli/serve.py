"""`stepdown serve`: a bundle over HTTP."""

from __future__ import annotations

import click

from stepdown.errors import missing_extra
from stepdown.serve import Limits

_USUAL = Limits()


@click.command()
@click.argument("bundle", metavar="BUNDLE")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=int, default=8080, show_default=True, help="0: any that is free.")
@click.option(
    "--max-texts",
    type=click.IntRange(min=1),
    default=_USUAL.texts,
    show_default=True,
    help="Texts of one request.",
)
@click.option(
    "--max-characters",
    type=click.IntRange(min=1),
    default=_USUAL.characters,
    show_default=True,
    help="Characters of one text.",
)
@click.option(
    "--max-body",
    type=click.IntRange(min=1),
    default=_USUAL.body,
    show_default=True,
    help="Bytes of one request.",
)
@click.option(
    "--queue",
    type=click.IntRange(min=1),
    default=_USUAL.queue,
    show_default=True,
    help="Texts that may wait; beyond, 503.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="A name by which it may be asked, besides those of this machine; may be repeated.",
)
@click.option("--access-log", is_flag=True, help="Write a line for each request to stderr.")
def serve(
    bundle: str,
    host: str,
    port: int,
    max_texts: int,
    max_characters: int,
    max_body: int,
    queue: int,
    allow_host: tuple[str, ...],
    access_log: bool,
) -> None:
    """Serve BUNDLE over HTTP, with a page to try it at /.

    BUNDLE is a folder, a .stepdown file, or the name of a model that comes with stepdown (sentiment). POST /predict
    with {"texts": [...]} answers {"predictions": [...]}, with the objects of `stepdown predict`; /openapi.json
    describes it all. Ctrl-C answers what was asked and ends; a second one ends at once.
    """
    try:
        from stepdown.serve.server import serve as run
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "?", "serve", "stepdown serve") from error
    run(
        bundle,
        host,
        port,
        Limits(max_texts, max_characters, max_body, queue),
        access_log=access_log,
        allowed=allow_host,
        say=lambda line: click.echo(line, err=True),
    )
