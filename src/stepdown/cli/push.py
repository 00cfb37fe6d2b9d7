"""`stepdown push`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from stepdown import sharing
from stepdown.sharing import Parcel, Place


@click.command()
@click.argument("source")
@click.argument("repository", metavar="REPO")
@click.option("--private", is_flag=True, help="Make a new repository readable for you alone.")
@click.option(
    "--branch",
    default="main",
    show_default=True,
    help="Send to this branch, which is made of main if it is not there.",
)
@click.option(
    "--create/--no-create",
    default=True,
    show_default=True,
    help="Make a repository or a branch that is not there.",
)
@click.option("--message", help="Of the commit.  [default: Upload with stepdown VERSION]")
@click.option("--dry-run", is_flag=True, help="Show what would be sent and where to, and open no connection.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def push(
    source: str,
    repository: str,
    private: bool,
    branch: str,
    create: bool,
    message: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put SOURCE into the repository REPO (OWNER/NAME) of the Hugging Face hub, in one commit.

    SOURCE is a bundle (a folder or a .stepdown file), a finished run, which stands for its bundle, or the folder of a
    model as export --format native writes it. The token is that of HF_TOKEN or of a login; HF_ENDPOINT names another
    hub.
    """
    parcel = sharing.parcel(source)
    licence = sharing.check(parcel, repository)
    place = Place(repository, branch, True if private else None)
    for line in _listed(parcel, place):
        click.echo(line, err=True)
    if licence in ("unknown", "other"):
        click.echo(
            f"Its card states the licence {licence!r}, under which few may use it: stepdown export --licence ID states "
            "another.",
            err=True,
        )
    document = {
        "repository": repository,
        "branch": branch,
        "url": place.url,
        "licence": licence,
        "files": parcel.sizes,
    }
    if dry_run:
        click.echo("Nothing was sent.", err=True)
        if as_json:
            click.echo(json.dumps({**document, "sent": False}, ensure_ascii=False))
        return
    done = sharing.push(
        parcel, place, create=create, message=message, tell=lambda line: click.echo(line, err=True)
    )
    if done.others:
        click.echo(f"What was there and is not part of it stays: {', '.join(done.others)}.", err=True)
    if not done.is_changed:
        click.echo("All of it was there already: nothing was sent.", err=True)
    told = {
        "commit": done.commit,
        "private": done.place.is_private,
        "new": done.is_new,
        "sent": done.is_changed,
    }
    click.echo(json.dumps({**document, **told}, ensure_ascii=False) if as_json else done.place.url)


def _listed(parcel: Parcel, place: Place) -> Iterator[str]:
    """What is sent, file by file, and where to."""
    sizes = parcel.sizes
    wide, digits = max(map(len, sizes)), len(f"{sum(sizes.values()):,}")
    yield f"The {parcel.kind} in {parcel.source} goes to {place.url}:"
    yield from (f"  {name:<{wide}}  {size:>{digits},} bytes" for name, size in sizes.items())
    if parcel.left_out:
        yield f"Not sent: {', '.join(parcel.left_out)}."
