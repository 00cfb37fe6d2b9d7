"""Whether a parcel may leave this machine: under a stated licence, and without telling where it was made."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from stepdown import assets, store
from stepdown.assets import repositories
from stepdown.errors import InputError, missing_extra
from stepdown.sharing.parcel import CARD, Parcel

# Words of a language may look like anything; they are no text of ours.
_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "words.json")
# Traces of how something was made name these.
_PROGRAMS = (Path(sys.prefix), Path(__file__).parents[2])


def check(parcel: Parcel, repository: str) -> str:
    """Everything that can be found out before a connection is opened.

    Args:
        parcel: what is to be sent.
        repository: where to.

    Returns:
        The licence that the card states.

    Raises:
        InputError: the name is not `owner/name`, the card states no licence, or a file tells of a path of this machine.
    """
    if not ("/" in repository and assets.is_hub_id(repository)):
        raise InputError(
            f"{repository!r} cannot be a repository of a hub: expected OWNER/NAME, of letters, digits, '-', '_' and "
            "'.', where OWNER is your user name or an organisation of yours."
        )
    licence = _licence(parcel)
    places = _places(parcel)
    for name, content in parcel.files.items():
        if name not in _VOCABULARIES and (path := _path_in(name, content, places)):
            raise InputError(
                f"{name} of {parcel.source} tells of {path}, a place on this machine that is nobody else's business. "
                f"{'Take it out of the file.' if parcel.kind == 'model' else _remedy(parcel)}"
            )
    return licence


def _licence(parcel: Parcel) -> str:
    try:
        hub = repositories.client()
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "huggingface_hub", "train", "stepdown push") from error
    if CARD not in parcel.files:
        raise InputError(
            f"{parcel.source} has no {CARD}, which is a model's card on a hub. {_remedy(parcel)}"
        )
    try:
        with repositories.quiet():
            card = hub.ModelCard(parcel.text(CARD))
        stated = card.data.to_dict().get("license")
    except Exception as error:  # of the client's reader of YAML, which has many
        raise InputError(
            f"The metadata of {parcel.source}'s {CARD} cannot be read: {_first_line(error)}. {_remedy(parcel)}"
        ) from error
    if not stated:
        raise InputError(
            f"The metadata of {parcel.source}'s {CARD} state no licence, and without one nobody may use the model. "
            f"{_remedy(parcel)}"
        )
    return str(stated)


def _remedy(parcel: Parcel) -> str:
    if parcel.kind == "bundle":
        return "Export it again with this version: stepdown export RUN --licence ID"
    run, cell = "RUN", "CELL"
    if parcel.source.absolute().parent.name == "cells":
        run, cell = str(parcel.source.parent.parent), parcel.source.name
    return (
        f"Export it with its card: stepdown export {run} --cell {cell} --format native --licence ID. Or mend the file: "
        f"{CARD} begins with the lines ---, license: ID, and ---."
    )


def _path_in(name: str, content: bytes | Path, places: Sequence[str]) -> str | None:
    """A place of this machine that a file names, if it names one."""
    ways = (re.escape(written).encode() for place in places for written in {place, json.dumps(place)[1:-1]})
    # In text an address may hold what looks like a path; in other files anything may stand before one.
    begins = rb"(?<![\w.:/\\-])" if name.endswith((".md", ".json", ".txt")) else b""
    found = re.compile(begins + b"(?:" + b"|".join(ways) + rb")(?=[/\\\s\"']|$)")
    if isinstance(content, bytes):
        match = found.search(content)
    else:
        with content.open("rb") as file:
            # Of weights the header, which may hold remarks; the rest is numbers.
            size = 8 + int.from_bytes(file.read(8), "little") if name.endswith(".safetensors") else -1
            file.seek(0)
            match = found.search(file.read(size))
    return match[0].decode() if match else None


def _places(parcel: Parcel) -> list[str]:
    """What tells of a machine: the user's folder, and others that are more than a name any machine has."""
    home, others = Path.home(), (Path.cwd(), parcel.source.absolute().parent, store.cache_dir(), *_PROGRAMS)
    homes = [home] if len(home.parts) > 1 else []
    return [str(place) for place in (*homes, *(one for one in others if len(one.parts) > 2))]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")
