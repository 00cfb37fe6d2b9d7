"""Names of teachers that are no model: ready soft labels in columns of the data, and callables of a Python program."""

import csv
from typing import Literal

Scores = Literal["probabilities", "logits"]

LABELS = "labels:"
"""Begins the name of a teacher whose soft labels stand in the data: `labels:column,column`."""
CALLABLE = "callable:"
"""Begins the name under which a recipe knows a function that a program gave to `distill`."""


def is_given(model: str) -> bool:
    """Whether a teacher's name stands for none of ours: there is nothing to fetch, to fine-tune or to copy."""
    return model.startswith((LABELS, CALLABLE))


def score_columns(model: str) -> tuple[str, ...] | None:
    """The columns of `labels:column,column`, or its one pattern with a `*`; None for any other teacher.

    A name that holds a comma is written in quotes, as in a line of CSV.
    """
    if not model.startswith(LABELS):
        return None
    try:
        (row,) = csv.reader([model.removeprefix(LABELS)], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):  # a quote without end, or a line break
        return ()
    return tuple(column.strip() for column in row)
