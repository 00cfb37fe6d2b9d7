"""Names of labels that came with the data, where the labels themselves are numbers."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.data.choose import Columns
from stepdown.data.read import Found
from stepdown.data.table import Table

# How a column is called that has the names of the labels of `label`, as data sets of the hub often have one.
_BESIDE = ("{}_text", "{}_name")


def names_of(found: Found, table: Table, columns: Columns) -> Sequence[str] | None:
    """Label names that came with the data, in the order of the labels' numbers; None where there are none.

    They stand in the file's own schema, in a file beside it, or in a column of names beside the labels'.

    Raises:
        DataError: a row cannot be read.
    """
    if len(columns.label) != 1:
        return None
    label = columns.label[0]
    return table.label_names.get(label) or found.label_names or _names_beside(table, label)


def _names_beside(table: Table, label: str) -> tuple[str, ...] | None:
    """The names of the labels 0, 1, … where every row has both and each number has one name of its own."""
    beside = [name for form in _BESIDE if (name := form.format(label)) in table.columns]
    if not beside or table.columns.count(label) > 1 or table.columns.count(beside[0]) > 1:
        return None
    names: dict[str, str] = {}
    for block in table.blocks(label, beside[0]):
        for number, name in zip(*block.columns, strict=True):
            if number is None or name is None or names.setdefault(str(number), str(name)) != str(name):
                return None
    ordered = [names.get(str(number)) for number in range(len(names))]
    known = tuple(name for name in ordered if name and name.strip())
    return known if len(set(known)) == len(names) else None
