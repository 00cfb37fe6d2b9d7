"""`--set key=value`: changes to a recipe from the command line.

The key is a path such as `data.source` or `rungs.1.epochs`, where lists are counted from 0. The value is
TOML, else it is taken as text; nothing after the sign takes the key out. Paths in values are relative to the
working folder.
"""

import copy
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepdown.recipe.faults import dotted, found
from stepdown.recipe.paths import absolute


def apply(recipe: Mapping[str, object], sets: Sequence[str]) -> tuple[dict[str, object], list[str]]:
    """A copy of a recipe, as parsed from TOML, with the settings made in their order.

    Returns:
        the copy, and the faults of the settings that could not be made.
    """
    changed = copy.deepcopy(dict(recipe))
    faults = []
    for text in sets:
        try:
            path, value = _read(text)
            _put(changed, path, value)
        except _Unsettable as error:
            faults.append(f"--set {text}: {error}")
    return changed, faults


class _Unsettable(Exception):
    """A setting that cannot be made; the message says why."""


def _read(text: str) -> tuple[list[str], object]:
    """The key's path and the value; None for a value that takes the key out."""
    key, sign, written = text.partition("=")
    if not sign:
        raise _Unsettable("expected key=value, such as rungs.1.epochs=3")
    # TOML itself splits the key, so that quoted parts work: teacher.label_map."LABEL 0"=negative
    try:
        table: object = tomllib.loads(f"{key.strip()} = 0")
    except (tomllib.TOMLDecodeError, RecursionError):
        raise _Unsettable("expected names joined by dots before the sign, such as rungs.1.epochs=3") from None
    path = []
    while isinstance(table, dict):
        [(name, table)] = table.items()
        path.append(name)
    value = _value(written.strip())
    return path, absolute(value, Path.cwd(), tuple(name for name in path if not name.isdecimal()))


def _value(written: str) -> object:
    if not written:
        return None
    try:
        table = tomllib.loads(f"value = {written}")
    except (ValueError, RecursionError):
        return written
    return table["value"] if len(table) == 1 else written


def _put(recipe: dict[str, object], path: Sequence[str], value: object) -> None:
    place: Any = recipe
    for depth, name in enumerate(path):
        if isinstance(place, list):
            key: int | str = _index(name, place, path[:depth])
        elif isinstance(place, dict):
            key = name
        else:
            raise _Unsettable(f"{dotted(path[:depth])} is {found(place)}, which has no keys")
        if depth < len(path) - 1:
            place = _inside(place, key, path, depth, create=value is not None)
        elif value is not None:
            place[key] = value
        elif isinstance(place, dict) and key not in place:
            raise _Unsettable(f"{dotted(path)} is not in the recipe, so there is nothing to take out")
        else:
            del place[key]


def _inside(place: Any, key: int | str, path: Sequence[str], depth: int, create: bool) -> object:
    """What `place` holds at `key`; a new table where it holds nothing and one may be made."""
    if isinstance(place, dict) and key not in place:
        if not create or path[depth + 1].isdecimal():
            raise _Unsettable(f"{dotted(path[: depth + 1])} is not in the recipe")
        place[key] = {}
    return place[key]


def _index(name: str, entries: Sequence[object], path: Sequence[str]) -> int:
    valid = [str(index) for index in range(len(entries))]
    if name in valid:
        return int(name)
    expected = f"expected a number from 0 to {len(entries) - 1}" if entries else "it has none"
    raise _Unsettable(f"found {found(name)} as an entry of {dotted(path)}; {expected}")
