"""Labels as classes: one of several for each text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from stepdown.data.labels import NUMBER, Inferred, Met, check_labels, named
from stepdown.data.task import Task
from stepdown.errors import DataError


def as_classes(
    met: Met,
    said: Sequence[str],
    label_names: Sequence[str] | None = None,
    known_names: Sequence[str] | None = None,
) -> Inferred:
    """The classes that the labels are.

    Args:
        met: the labels.
        said: the same as plain strings.
        label_names: the user's, in order; they must fit.
        known_names: those that came with the data, in order; used if they fit.

    Raises:
        DataError: they are no classes, or of one class, or a split has one that train lacks, or names do not fit.
    """
    numeric = all(NUMBER.fullmatch(value) for value in said)
    classes: dict[str, str | None] = {value: _shortest(value) if numeric else value for value in said}
    in_train = [value for value in met.in_train() if isinstance(value, str)]
    if _is_no_label("-1", classes, in_train, numeric, label_names, known_names):
        classes = {value: None if name == "-1" else name for value, name in classes.items()}
        if any(classes[value] is None for value in in_train):
            met.notes.append(
                f"{met.place}: −1 counts as no label. If it is a class, name every class in label_names."
            )
    found = {name for value in in_train if (name := classes[value]) is not None}
    if len(found) < 2:
        only = next(iter(found), None)
        what = "no label" if only is None else f"a single class, {only!r}"
        raise DataError(f"{met.place} holds {what}. Expected at least two classes.")
    check_labels(sorted(found), int(met.counts("train").sum()), met.place)
    ordered = sorted(found, key=lambda name: (float(name), name)) if numeric else sorted(found)
    names = named(ordered, numeric, label_names, known_names, met.place, met.notes)
    known = {None, *names}
    met.check_known({at: one for at, one in enumerate(said) if classes[one] not in known}, list(names))
    order = {name: number for number, name in enumerate(names)}
    task = Task.of_classes(tuple(names.values()), is_pair=met.is_pair)
    return met.inferred(task, [order.get(classes[value] or "", -1) for value in said])


def _shortest(value: str) -> str:
    """The shortest spelling of a number, of numbers of 32 bits too."""
    if re.fullmatch(r"[+-]?\d+", value):
        return f"{int(value)}"
    number = float(value)
    short = f"{int(number)}" if number.is_integer() else f"{number:g}"
    return short if math.isclose(float(short), number, rel_tol=1e-7) else repr(number)


def _is_no_label(
    name: str,
    classes: Mapping[str, str | None],
    in_train: Sequence[str],
    numeric: bool,
    label_names: Sequence[str] | None,
    known_names: Sequence[str] | None,
) -> bool:
    """Whether −1 says that there is no label, as in test splits of the hub, and is no class, as in −1 against 1."""
    if label_names is not None and (name in label_names or len(label_names) == len(set(classes.values()))):
        return False
    found = {classes[value] for value in in_train}
    return name not in found or (numeric and (known_names is not None or len(found) != 2))
