"""Makes paths absolute: a recipe's start from its file, the command line's from the working folder.

A value is a path when it looks like one (starts with `.`, `/` or `~`, or ends like a data file) or when
something of that name is in the folder; otherwise it is a hub id or a name with a meaning of its own.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from stepdown.recipe.settings import FAMILIES, TEACHER_LAYERS
from stepdown.recipe.teachers import is_given

# What `data` reads; a name that ends otherwise is a path if something of that name is there.
DATA_SUFFIXES = (
    ".csv",
    ".tsv",
    ".jsonl",
    ".ndjson",
    ".jsonlines",
    ".json-lines",
    ".json",
    ".parquet",
    ".txt",
)

PATH_KEYS = frozenset(
    {
        ("data", "source"),
        ("data", "train"),
        ("data", "validation"),
        ("data", "test"),
        ("transfer", "unlabeled"),
        ("teacher", "model"),
        ("rungs", "model"),
        ("text", "unlabeled"),
        ("text", "keep_out"),
        ("model", "vocabulary"),
        ("model", "embeddings"),
    }
)


def absolute(value: object, folder: Path, key: tuple[str, ...] = ()) -> object:
    """A copy of a recipe, or of its part at `key`, with every path absolute.

    Args:
        value: what TOML holds: tables, lists and plain values.
        folder: what relative paths start from.
        key: names of the tables that lead to `value`; positions in lists do not count.
    """
    if isinstance(value, Mapping):
        return {name: absolute(item, folder, (*key, str(name))) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [absolute(item, folder, key) for item in value]
    if key in PATH_KEYS and isinstance(value, str | os.PathLike):
        return _absolute(value, folder)
    return value


def _absolute(value: str | os.PathLike[str], folder: Path) -> str:
    text = os.fspath(value)
    if isinstance(value, str) and not _is_path(value, folder):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111  # Path's raises where there is no such user
    # And unlike Path.resolve, this leaves a link the link that the user named.
    return os.path.normpath(folder.absolute() / expanded)


def _is_path(value: str, folder: Path) -> bool:
    if (
        value in ("", *FAMILIES)
        or value.startswith("demo:")
        or is_given(value)
        or TEACHER_LAYERS.fullmatch(value)
    ):
        return False
    if (
        value.startswith((".", "/", "~"))
        or Path(value).is_absolute()
        or value.lower().endswith(DATA_SUFFIXES)
    ):
        return True
    try:
        return (folder / value).exists()
    except OSError:  # longer than a file name may be
        return False
