"""The models at the top of a ladder: taken as they are or fine-tuned, each by itself; and the mean of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from stepdown import evaluate, losses, teacher, train
from stepdown.data.dataset import Task
from stepdown.errors import ModelError
from stepdown.ladder.context import Begun, Context, Trained
from stepdown.ladder.plan import Cell
from stepdown.recipe.settings import Loss, fine_tuning_epochs, fine_tuning_rate, loss_for
from stepdown.students import huggingface
from stepdown.students.heads import restore, unit_of
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
    model, held_out = found.model, dataset.selection
    context.tell(Begun(cell.id, model.description, finished_before=False))
    if found.has_head:
        taken = aligned(context, model, name_of(context, cell))
        model, notes = taken.model, (*found.notes, *taken.notes)
        facts: dict[str, Any] = {"fine_tuned": False}
    else:
        epochs = spec.epochs or fine_tuning_epochs(len(dataset.train.texts), spec.batch_size)
        rate = spec.learning_rate or fine_tuning_rate(model.parameters)
        schedule = train.Schedule(epochs, spec.batch_size, rate, seed=seed)
        unit = unit_of(task, dataset.train.labels)
        if unit is not None:
            restore(model, unit)
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
            _require_knowledge(task, said, held_out.labels)
    return model, {**facts, "notes": list(notes)}


@dataclass(frozen=True)
class Aligned:
    """A fine-tuned teacher that answers as the data does.

    Attributes:
        model: with its outputs in the order, and the unit, of the data's labels.
        said: its outputs for the selection texts.
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
    task, held_out = context.dataset.task, context.dataset.selection
    found.network.to(context.accelerator.device)
    with _named(context, name):
        teacher.require_kind(found, task)
        said = logits(found, found.encode(held_out.texts), precision=context.precision)
        model, notes = _matched(context, found, said)
        changed = model.network is not found.network
        if changed:
            said = logits(model, model.encode(held_out.texts), precision=context.precision)
        _require_knowledge(task, said, held_out.labels)
    return Aligned(model, said, notes)


def _matched(context: Context, found: TextModel, said: np.ndarray) -> tuple[TextModel, tuple[str, ...]]:
    """The teacher with its outputs in the data's order and unit, and notes; `said` is of the selection texts."""
    task, held_out = context.dataset.task, context.dataset.selection
    found, names = replace(found, task=task.kind), task.label_names
    if task.kind == "regression":
        truth = task.truth(held_out.labels)[:, 0]
        model, note = teacher.in_unit_of(found, said[:, 0], truth, names[0])
        return model, () if note is None else (note,)
    if len(found.label_names) == 1:
        return teacher.for_two_classes(found, names), ()
    label_map = context.recipe.teacher.label_map
    if label_map and len(context.plan.top) > 1:
        label_map = {own: ours for own, ours in label_map.items() if own in found.label_names} or None
    sets = task.truth(held_out.labels) if task.kind == "multi-label" else None
    order = teacher.align(found.label_names, names, label_map, said, held_out.labels, sets)
    return teacher.reorder(found, order, names), ()


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


def _require_knowledge(task: Task, said: np.ndarray, labels: np.ndarray) -> None:
    found = evaluate.chance_test(task, evaluate.suited(task, said, labels), labels)
    if found.near:
        raise ModelError(
            f"The teacher does not know this task: {_NEAR_CHANCE[task.kind].format(found=found)} Check the label "
            "column and the label order, take a teacher for this task, or fine-tune it longer (teacher.epochs, "
            "teacher.learning_rate)."
        )


_NEAR_CHANCE: Mapping[TaskKind, str] = {
    "single-label": (
        "it is right on {found.accuracy:.1%} of {found.n} selection texts, where always naming the commonest label "
        "gives {found.majority:.1%}, and its answers go with the labels hardly more than if they were dealt at random "
        "(kappa {found.kappa:.2f})."
    ),
    "multi-label": (
        "its labels of {found.n} selection texts reach a micro F1 of {found.accuracy:.3f}, where the same labels dealt "
        "to the texts at random reach {found.majority:.3f}."
    ),
    "regression": (
        "its numbers for {found.n} selection texts hardly go with the right ones (Pearson's correlation is "
        "{found.accuracy:.2f})."
    ),
}
