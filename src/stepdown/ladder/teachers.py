"""The models at the top of a ladder: taken as they are or fine-tuned, each by itself; and the mean of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepdown import evaluate, losses, matching, teacher, train
from stepdown.data.task import Task
from stepdown.errors import ModelError
from stepdown.ladder.context import Begun, Context, Trained
from stepdown.ladder.plan import Cell
from stepdown.recipe.settings import Loss, fine_tuning_epochs, fine_tuning_rate, loss_for
from stepdown.students import heads, huggingface
from stepdown.students.model import TextModel, logits
from stepdown.tasks import TaskKind


def name_of(context: Context, cell: Cell) -> str:
    """What the recipe calls the model of a cell at the top."""
    return context.recipe.teacher.model[context.plan.top.index(cell.id)]


def take(context: Context, cell: Cell, seed: int) -> tuple[TextModel, dict[str, Any]]:
    """A teacher that knows the task, and facts for its manifest; without a head for the task it is fine-tuned.

    Several teachers that are fine-tuned share the settings under `[teacher]`.

    Raises:
        ModelError: its labels cannot be matched, or it does not know the task.
    """
    spec, dataset = context.recipe.teacher, context.dataset
    folder, length = context.models[name_of(context, cell)], context.recipe.data.max_length
    task = dataset.task
    found = huggingface.load_teacher(
        folder, task.label_names, max_length=length, seed=seed, task=task.kind, is_pair=task.is_pair
    )
    if not found.has_head and not dataset.train.is_labelled:
        raise _needs_labels(name_of(context, cell))
    model, held_out = found.model, dataset.selection
    context.tell(Begun(cell.id, model.description, finished_before=False))
    if found.has_head:
        taken = aligned(context, model, name_of(context, cell))
        model, notes = taken.model, (*found.notes, *taken.notes)
        facts: dict[str, Any] = {"fine_tuned": False}
    else:
        epochs = spec.epochs or fine_tuning_epochs(len(dataset.train.texts), spec.batch_size, task.kind)
        rate = spec.learning_rate or fine_tuning_rate(model.parameters)
        schedule = train.Schedule(epochs, spec.batch_size, rate, seed=seed)
        if heads.begins(task.kind):
            labels = dataset.train.labels
            heads.begin(model, task.truth(labels[labels >= 0]))
        outcome = teacher.fine_tune(
            model,
            dataset.train,
            held_out,
            task,
            schedule,
            accelerator=context.accelerator,
            precision=context.precision,
            on_event=lambda event: context.tell(Trained(cell.id, event)),
        )
        facts = {"fine_tuned": True, "epoch": outcome.epoch, "epoch_merits": list(outcome.merits)}
        notes = found.notes
        said = logits(model, model.encode(held_out.texts), precision=context.precision)
        with _named(context, name_of(context, cell)):
            require_knowledge(task, said, held_out.labels, "selection texts", _ADVICE)
    return model, {**facts, "notes": list(notes)}


def task_of(
    folder: Path,
    name: str,
    *,
    label_names: Sequence[str] | None = None,
    kind: TaskKind | None = None,
    label_map: Mapping[str, str] | None = None,
    max_length: int,
    is_pair: bool,
) -> Task:
    """What a fine-tuned teacher is for, where no text of train has a label that would say it.

    Args:
        folder: of the teacher.
        name: what the recipe calls it.
        label_names: the user's; the teacher's labels in another order or case, or names for `LABEL_0`, …
        kind: of the task, where the user says it.
        label_map: the teacher's label → its name here; those that it leaves out are not predicted.
        max_length, is_pair: as for `huggingface.load`.

    Raises:
        ModelError: it has no head, or it does not say what its outputs are, or the names do not fit.
    """
    found = huggingface.load(folder, max_length=max_length, is_pair=is_pair)
    if not found.has_head:
        raise _needs_labels(name)
    own, kind = found.model.label_names, kind or found.model.task
    if kind == "regression":
        return Task.without_answers(kind, own[:1], is_pair=is_pair)
    if len(own) == 1 and (label_names is None or len(label_names) != 2):
        raise ModelError(
            f"{name} has one output, and no text of train has a label that says what it is. Say that it is a number "
            'with task = "regression" under [data], or name the two labels between which it decides with label_names.'
        )
    names = tuple(dict.fromkeys(label_map[one] for one in own if one in label_map)) if label_map else own
    if label_names is None:
        return Task.without_answers(kind, names, is_pair=is_pair)
    numbered = not label_map and (len(own) == 1 or _numbered(own, label_names) is not None)
    if not _alike(names, label_names) and not numbered:
        raise ModelError(
            f"{name} knows the labels {', '.join(names[:8])}, and label_names says {', '.join(label_names[:8])}. "
            "Expected the teacher's in any order; say which stands for which with label_map under [teacher]."
        )
    return Task.without_answers(kind, label_names, is_pair=is_pair)


@dataclass(frozen=True)
class Aligned:
    """A fine-tuned teacher that answers as the data does.

    Attributes:
        model: with its outputs in the order, and the unit, of the data's labels.
        said: its outputs for the labelled texts that it was matched and checked on (`Context.known`).
        notes: what had to be done for it, in plain lines.
    """

    model: TextModel
    said: np.ndarray
    notes: tuple[str, ...] = ()


def aligned(context: Context, found: TextModel, name: str) -> Aligned:
    """A fine-tuned teacher that answers as the data does.

    Of several teachers each takes from `label_map` what names its own labels; one that it does not name at all is
    matched without it.

    Args:
        found: as it was read.
        name: what the recipe calls it.

    Raises:
        ModelError: it is for another kind of task, its labels cannot be matched, or it does not know the task.
    """
    task, known = context.dataset.task, context.known()
    where, split = known or ("no", context.dataset.selection.take(np.zeros(0, np.int64)))
    found.network.to(context.accelerator.device)
    with _named(context, name):
        teacher.require_kind(found, task)
        said = logits(found, found.encode(split.texts), precision=context.precision)
        matched = _matched(context, found, said, split.labels, f"{where} texts")
        model = matched.model
        changed = model.network is not found.network
        if changed:
            said = logits(model, model.encode(split.texts), precision=context.precision)
        if known:
            if matched.sources:
                _require_order(context, matched, said, split.labels)
            advice = (
                _ADVICE_ON_ONE if len(found.label_names) == 1 and task.kind == "single-label" else _ADVICE
            )
            require_knowledge(task, said, split.labels, f"{where} texts", advice)
    return Aligned(model, said, matched.notes)


@dataclass(frozen=True)
class _Matched:
    """A teacher with its outputs in the data's order and unit.

    Attributes:
        sources: what it called each output itself, in the order of the data's labels, or "" where it had none; no names
            of numbers.
        by_map: whether the recipe says so.
        notes: what had to be done for it, in plain lines.
    """

    model: TextModel
    sources: tuple[str, ...] = ()
    by_map: bool = False
    notes: tuple[str, ...] = ()


def _require_order(context: Context, matched: _Matched, said: np.ndarray, labels: np.ndarray) -> None:
    """Refuse a teacher whose labels seem to stand for others; a map of the recipe's is doubted if it is worthless."""
    task = context.dataset.task
    sets = task.truth(labels) if task.kind == "multi-label" else None
    why = matching.doubt(matched.sources, task.label_names, said, labels, sets)
    trusted = (
        matched.by_map and not evaluate.chance_test(task, evaluate.suited(task, said, labels), labels).near
    )
    if why is not None and not trusted:
        raise ModelError(why)


def _matched(
    context: Context, found: TextModel, said: np.ndarray, labels: np.ndarray, where: str
) -> _Matched:
    """The teacher with its outputs in the data's order and unit; from what it `said` of labelled texts."""
    task = context.dataset.task
    found, names = replace(found, task=task.kind), task.label_names
    if task.kind == "regression":
        model, note = teacher.in_unit_of(found, said[:, 0], task.truth(labels)[:, 0], names[0], where)
        return _Matched(model, notes=() if note is None else (note,))
    own, label_map = found.label_names, context.recipe.teacher.label_map
    if label_map and len(context.plan.top) > 1:
        label_map = {one: ours for one, ours in label_map.items() if one in own} or None
    if len(own) == 1:
        which = matching.class_of_one(own[0], names, label_map, said, labels)
        note = f"its one output is taken for the log-odds of {names[which]!r} against {names[1 - which]!r}"
        model = teacher.for_two_classes(found, names, which)
        return _Matched(model, ("", own[0]) if which else (own[0], ""), label_map is not None, (note,))
    sets = task.truth(labels) if task.kind == "multi-label" else None
    order = None
    if not len(labels) and not label_map and not _alike(own, names):
        order = _numbered(own, names) if context.recipe.data.label_names else None
    if order is None:
        order = matching.align(own, names, label_map, said, labels, sets)
    sources = tuple(own[output] for output in order.tolist())
    notes: tuple[str, ...] = ()
    if len(labels) and not label_map and not _alike(own, names):
        pairs = ", ".join(f"{one} for {ours!r}" for one, ours in list(zip(sources, names, strict=True))[:8])
        notes = (f"its labels have no names of their own: by agreement on {where}, {pairs}",)
    return _Matched(teacher.reorder(found, order, names), sources, label_map is not None, notes)


def _alike(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether names are the same ones, letter case and order aside."""
    return sorted(map(str.casefold, names)) == sorted(map(str.casefold, others))


def _numbered(own: Sequence[str], label_names: Sequence[str]) -> np.ndarray | None:
    """The order of a teacher's labels that are numbers, where names are given for them: those of 0, 1, …"""
    return matching.by_number(own) if len(own) == len(label_names) else None


@contextmanager
def _named(context: Context, name: str) -> Iterator[None]:
    """Where there are several teachers, an error says which it is about."""
    try:
        yield
    except ModelError as error:
        raise (ModelError(f"{name}: {error}") if len(context.plan.top) > 1 else error) from None


def loss_of_mean(context: Context) -> Loss:
    """The loss that decides what the mean of several teachers is: the student's, as its targets are that mean."""
    student = context.recipe.resolved_rung(len(context.recipe.rungs) - 1)
    return student.loss or loss_for(context.dataset.task.kind, len(context.dataset.task.label_names))


def mean(context: Context, said: Sequence[np.ndarray]) -> np.ndarray:
    """What several teachers say together, float32 [n, classes], from the logits of each."""
    stacked = torch.from_numpy(np.stack(said))
    together = losses.mean_teacher(stacked, loss_of_mean(context), context.dataset.task.kind)
    return together.numpy()


_ADVICE = (
    "Check the label column and the label order, take a teacher for this task, or fine-tune it longer (teacher.epochs, "
    "teacher.learning_rate)."
)

_ADVICE_ON_ONE = (
    "Its one output was taken for the log-odds of one of the two labels; if it predicts a number, it is for another "
    f"task than the data. {_ADVICE}"
)


def require_knowledge(task: Task, said: np.ndarray, labels: np.ndarray, where: str, advice: str) -> None:
    """Refuse a teacher that is no better than chance.

    Args:
        task: what it should know.
        said: its outputs for labelled texts, [n, outputs].
        labels: of these, int64 [n].
        where: which texts they are, for people.
        advice: what to do, for people.

    Raises:
        ModelError: it is.
    """
    found = evaluate.chance_test(task, evaluate.suited(task, said, labels), labels)
    if found.near:
        said_so = _NEAR_CHANCE[task.kind].format(found=found, where=where, how=_how(found.kappa))
        raise ModelError(f"The teacher does not know this task: {said_so} {advice}")


def _needs_labels(name: str) -> ModelError:
    return ModelError(
        f"{name} has no head for a task, and no text of train has a label by which it could be fine-tuned. Take a "
        "teacher that is fine-tuned already, or add labels."
    )


def _how(kappa: float) -> str:
    """How answers go with what is right, where that is not well."""
    if kappa <= -evaluate.MIN_KAPPA:
        return "go against what is right, as if they were turned round"
    return "go with what is right hardly more than if they were dealt at random"


_NEAR_CHANCE: Mapping[TaskKind, str] = {
    "single-label": (
        "it is right on {found.accuracy:.1%} of {found.n} {where}, where always naming the commonest label "
        "gives {found.majority:.1%}, and its answers {how} (kappa {found.kappa:.2f})."
    ),
    "multi-label": (
        "its labels of {found.n} {where} reach a micro F1 of {found.accuracy:.3f}, where the same labels dealt "
        "to the texts at random reach {found.majority:.3f}."
    ),
    "regression": (
        "its numbers for {found.n} {where} {how} (Pearson's correlation is {found.accuracy:.2f})."
    ),
}
