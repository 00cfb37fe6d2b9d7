"""What the labels mean: the task, the names and order of its labels, and which rows have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepdown.data import lists
from stepdown.data.choose import Columns
from stepdown.data.classes import as_classes
from stepdown.data.columns import Rows, Values
from stepdown.data.label_sets import as_sets
from stepdown.data.labels import Inferred, Met
from stepdown.data.quantities import as_numbers, look_like_numbers
from stepdown.errors import DataError
from stepdown.tasks import TaskKind

__all__ = ["Inferred", "infer", "label_lists"]


def infer(
    splits: Mapping[str, Rows],
    values: Values,
    *,
    columns: Columns,
    kind: TaskKind | None = None,
    label_names: Sequence[str] | None = None,
    known_names: Sequence[str] | None = None,
) -> Inferred:
    """The task that the labels make, and every row's label.

    Lists of labels, cells with a separator and several label columns are label sets; many different fractional numbers
    are a quantity, unless label_names says that they are classes; anything else is a class.

    Args:
        splits: as read; "train" is among them.
        values: all labels that were met in them.
        columns: that were read.
        kind: of the task, where the user says it.
        label_names: the user's, in order; they must fit.
        known_names: those that came with the data, in order; used if they fit.

    Raises:
        DataError: the labels are not of that kind, or there is nothing to learn from them, or a split has one that
            train lacks, or names do not fit.
    """
    met = Met.of(splits, values, columns)
    sets = label_lists(met)
    if sets is not None:
        if kind not in (None, "multi-label"):
            raise DataError(
                f'{met.place} holds several labels a text, which makes the task multi-label, but task is "{kind}". '
                f"Take task out, or name a column of single labels."
            )
        return as_sets(met, sets, label_names, known_names)
    said = [value for value in met.said if isinstance(value, str)]
    if kind == "multi-label":
        return as_sets(met, [(value,) for value in said], label_names, known_names)
    if kind is None and label_names is None and look_like_numbers(said):
        met.notes.append(
            f"{met.place} holds many different numbers, some of them fractions, so they are a quantity to be "
            f'predicted: task = "regression". If they are classes, say task = "single-label".'
        )
        kind = "regression"
    if kind == "regression":
        return as_numbers(met, said)
    return as_classes(met, said, label_names, known_names)


def label_lists(met: Met) -> list[tuple[str, ...]] | None:
    """What the labels say as lists, where they are lists, or read as such; None where they are single labels.

    Raises:
        DataError: some are lists, and others are not.
    """
    read = [lists.parse(value) if isinstance(value, str) else value for value in met.said]
    odd = [at for at, one in enumerate(read) if one is None]
    if not odd:
        return [one for one in read if one is not None]
    if any(isinstance(value, tuple) for value in met.said) or len(odd) * 2 < len(read):
        raise DataError(
            f"{met.where(odd[0])}: {met.columns.label[0]!r} holds {str(met.said[odd[0]])[:40]!r}, but most rows hold "
            f'lists of labels. Expected a list in each, such as ["a", "b"], or [] where no label applies.'
        )
    return None
