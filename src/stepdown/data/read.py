"""Finds the splits of a source: a file, a folder, several files, a hub id, or built-in data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepdown import assets
from stepdown.data import files, hub
from stepdown.data.table import Table, join, listing
from stepdown.errors import DataError

SPLITS = ("train", "validation", "test")
_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# train.csv, train-00000-of-00002.parquet, my_data.train.jsonl is not: a split's name comes first
_SPLIT_FILE = re.compile(
    rf"({'|'.join(sorted(_SPELLINGS, key=len, reverse=True))})(?:[-_.].*)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Attributes:
        tables: by split: some of train, validation, test. A source without named splits is all train.
        label_names: from a labels.json beside the files.
        notes: what was left aside, for people.
    """

    tables: Mapping[str, Table]
    label_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = field(default=())


def find(
    source: str | None, train: str | None = None, validation: str | None = None, test: str | None = None
) -> Found:
    """The splits of a source, or of a file (or folder of parts, or hub id#split) for each.

    Nothing but headers is read yet.

    Raises:
        DataError: something is missing, empty, unreadable, or there is no train split.
        HubError: a hub did not deliver.
    """
    if source is not None:
        found = open_source(source)
        if "train" not in found.tables:
            raise DataError(
                f"{source}: there is a {' and a '.join(found.tables)} split, but none to train on. "
                f"Name a file for each split: train = …, validation = …, test = …"
            )
        return found
    named = {"train": train, "validation": validation, "test": test}
    parts = {split: open_source(place) for split, place in named.items() if place is not None}
    if "train" not in parts:
        raise DataError(
            "no data: expected a source, or a train file with optional validation and test files."
        )
    return Found(
        {split: _only(part, named[split] or "") for split, part in parts.items()},
        parts["train"].label_names,
        tuple(note for part in parts.values() for note in part.notes),
    )


def open_source(source: str) -> Found:
    """The splits of one source, whichever there are.

    Raises:
        DataError, HubError: as `find`.
    """
    if source.startswith("demo:"):
        return Found({"train": files.open_file(assets.data(source))})
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder(path)
    if path.is_file() or _looks_like_file(source):
        return _beside({"train": files.open_file(path)}, path.parent)
    return _hub(source)


def _looks_like_file(source: str) -> bool:
    """Whether a name that does not exist was meant as a file, and no hub id."""
    return source.startswith((".", "/", "~")) or source.lower().endswith(
        (*files.SUFFIXES, ".gz", ".zip", ".xlsx")
    )


def _only(found: Found, place: str) -> Table:
    """The one split of a source that stands for a single split."""
    if len(found.tables) > 1:
        raise DataError(f"{place}: holds several splits ({', '.join(found.tables)}), expected one.")
    return next(iter(found.tables.values()))


def _hub(source: str) -> Found:
    opened = hub.open_hub(source)
    if "#" in source:
        return Found({"train": next(iter(opened.values()))})
    tables: dict[str, Table] = {}
    aside = []
    for name, table in opened.items():
        split = _SPELLINGS.get(name.lower())
        if split is None or split in tables:
            aside.append(name)
        else:
            tables[split] = table
    if not tables:
        raise DataError(
            f"{source}: its splits are {', '.join(opened)}, none of which is a train split. "
            f'Name them one by one: train = "{source}#{next(iter(opened), "NAME")}"'
        )
    notes = [f"{source}: the split {name} was left aside." for name in aside]
    return Found(dict(sorted(tables.items(), key=lambda item: SPLITS.index(item[0]))), None, tuple(notes))


def _folder(folder: Path) -> Found:
    """Files named after splits, or a single file; in the folder itself or, as on the hub, in its `data`."""
    data = _data_files(folder)
    if not data and (folder / "data").is_dir():
        folder = folder / "data"
        data = _data_files(folder)
    if not data:
        raise DataError(
            f"{folder}: no data files. Expected train.csv (or .tsv, .jsonl, .parquet) or a single file."
        )
    parts: dict[str, list[Path]] = {}
    aside = []
    for path in data:
        split = split_of(path.name)
        if split is None:
            aside.append(path.name)
        else:
            parts.setdefault(split, []).append(path)
    if not parts:
        if len(data) > 1:
            raise DataError(
                f"{folder}: cannot tell its files apart: {listing(aside)}. "
                f"Expected names that begin with train, validation or test, or a single file."
            )
        return _beside({"train": files.open_file(data[0])}, folder)
    for split, paths in parts.items():
        kinds = {path.suffix.lower() for path in paths}
        if len(kinds) > 1:
            raise DataError(
                f"{folder}: {split} is there as {' and as '.join(sorted(kinds))}. Remove all but one."
            )
    tables = {
        split: join([files.open_file(path) for path in parts[split]], str(folder / split))
        for split in SPLITS
        if split in parts
    }
    return _beside(tables, folder, aside)


def split_of(name: str) -> str | None:
    """The split that a file's name begins with, if it begins with one: train, validation or test."""
    named = _SPLIT_FILE.fullmatch(name)
    return _SPELLINGS[named[1].lower()] if named else None


def _data_files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        # .txt and .json describe data more often than they are data, when others lie beside them
        if path.suffix.lower() in files.SUFFIXES and path.suffix.lower() not in (".txt", ".json")
        if not path.name.startswith(".") and path.is_file()
    )


def _beside(tables: Mapping[str, Table], folder: Path, aside: Sequence[str] = ()) -> Found:
    """Tables of a folder with the names of a labels.json that lies there.

    The file is a list of names, or an object from number to name or from name to number.
    """
    notes = [f"{folder}: {name} was left aside: no split has its name." for name in aside]
    path = folder / "labels.json"
    if not path.is_file():
        return Found(tables, None, tuple(notes))
    try:
        names = _names(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        names = None
        notes.append(f"{path} was left aside: {error}.")
    return Found(tables, names, tuple(notes))


def _names(said: object) -> tuple[str, ...]:
    """Label names in order. Raises ValueError if it is nothing of the kind."""
    if isinstance(said, dict):
        pairs = [(value, key) if isinstance(value, int) else (key, value) for key, value in said.items()]
        if all(str(number).isdigit() for number, _ in pairs):
            said = [name for _, name in sorted(pairs, key=lambda pair: int(pair[0]))]
    if isinstance(said, list) and said and all(isinstance(name, str) for name in said):
        return tuple(said)
    raise ValueError('expected a list of label names, such as ["negative", "positive"]')
