"""Labels of texts as those of a model: its names, or numbers of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepdown.data import label_sets, quantities
from stepdown.data.infer import label_lists
from stepdown.data.labels import Inferred, Met
from stepdown.data.table import did_you_mean, listing
from stepdown.data.task import Task
from stepdown.errors import DataError
from stepdown.tasks import TaskKind


def by_names(
    met: Met, kind: TaskKind, label_names: Sequence[str], own_names: Sequence[str] | None
) -> Inferred:
    """What labels say, where a model says what labels there are.

    Args:
        met: the labels.
        kind: of the model's task.
        label_names: the model's; the labels are these names, letter case aside, or numbers of them from 0. For
            regression they do not matter.
        own_names: those that came with the data for numbers, in order.

    Raises:
        DataError: a label is none of the model's, or is no number, as the kind may be.
    """
    if not met.said:
        return met.inferred(Task.without_answers(kind, label_names, is_pair=met.is_pair), [])
    said = [value for value in met.said if isinstance(value, str)]
    lists = label_lists(met)
    if kind == "multi-label":
        sets = [(one,) for one in said] if lists is None else lists
        task, answer_of = _sets(met, sets, label_names, own_names)
    elif lists:
        raise DataError(f"{met.place} holds several labels a text, but the model's task is {kind}.")
    elif kind == "regression":
        task, answer_of = _numbers(met, said, label_names)
    else:
        task, answer_of = _classes(met, said, label_names, own_names)
    return met.inferred(task, answer_of)


def _classes(
    met: Met, said: Sequence[str], label_names: Sequence[str], own_names: Sequence[str] | None
) -> tuple[Task, list[int]]:
    known = _numbered(set(said) - {"-1"}, label_names, own_names)
    for number, one in enumerate(said):
        if one not in known and one != "-1":
            raise _stranger(met, number, one, label_names)
    return Task.of_classes(label_names, is_pair=met.is_pair), [known.get(one, -1) for one in said]


def _sets(
    met: Met, sets: Sequence[tuple[str, ...]], label_names: Sequence[str], own_names: Sequence[str] | None
) -> tuple[Task, list[int]]:
    sets = label_sets.named_by_place(sets)
    known = _numbered({label for one in sets for label in one}, label_names, own_names)
    for number, one in enumerate(sets):
        for label in one:
            if label not in known:
                raise _stranger(met, number, label, label_names)
    plain = [tuple(label_names[known[label]] for label in one) for one in sets]
    return label_sets.task_of(tuple(label_names), label_names, plain, is_pair=met.is_pair)


def _numbers(met: Met, said: Sequence[str], label_names: Sequence[str]) -> tuple[Task, list[int]]:
    numbers = [quantities.number_of(one, met.where(at), met.columns.label[0]) for at, one in enumerate(said)]
    name = label_names[0] if label_names else met.columns.label[0]
    task, answer_of = quantities.task_of(name, numbers, is_pair=met.is_pair)
    # As the hub marks a split without labels.
    return task, [-1] * len(said) if set(numbers) == {-1.0} else answer_of


def _stranger(met: Met, number: int, label: str, label_names: Sequence[str]) -> DataError:
    return DataError(
        f"{met.where(number)}: the label {label!r} is none of the model's: {listing(label_names)}."
        f"{did_you_mean(label, label_names)}"
    )


def _numbered(
    said: set[str], label_names: Sequence[str], own_names: Sequence[str] | None
) -> Mapping[str, int]:
    """Labels of a data set to numbers of a model's: by name, by the data's own names for numbers, or as numbers."""
    by_name = {name: number for number, name in enumerate(label_names)}
    if said <= set(by_name):
        return by_name
    by_case = {name.casefold(): number for name, number in by_name.items()}
    if len(by_case) == len(by_name) and {one.casefold() for one in said} <= set(by_case):
        return {one: by_case[one.casefold()] for one in said}
    if own_names is not None and set(own_names) <= set(by_name):
        return {str(number): by_name[name] for number, name in enumerate(own_names)}
    by_number = {str(number): number for number in range(len(label_names))}
    return by_number if said <= set(by_number) else by_name
