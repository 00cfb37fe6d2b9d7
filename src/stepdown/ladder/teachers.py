"""The models at the top of a ladder: taken as they are or fine-tuned, each by itself; and the mean of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from stepdown import evaluate, losses, teacher, train
from stepdown.errors import ModelError
from stepdown.ladder.context import Begun, Context, Trained
from stepdown.ladder.plan import Cell
from stepdown.recipe.settings import Loss, fine_tuning_epochs, fine_tuning_rate, loss_for
from stepdown.students import huggingface
from stepdown.students.model import TextModel, logits


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
    found = huggingface.load_teacher(folder, dataset.task.label_names, max_length=length, seed=seed)
    model, held_out = found.model, dataset.selection
    context.tell(Begun(cell.id, model.description, finished_before=False))
    if found.has_head:
        model, _ = aligned(context, model, name_of(context, cell))
        facts: dict[str, Any] = {"fine_tuned": False}
    else:
        epochs = spec.epochs or fine_tuning_epochs(len(dataset.train.texts), spec.batch_size)
        rate = spec.learning_rate or fine_tuning_rate(model.parameters)
        schedule = train.Schedule(epochs, spec.batch_size, rate, seed=seed)
        outcome = teacher.fine_tune(
            model,
            dataset.train.texts,
            dataset.train.labels,
            (held_out.texts, held_out.labels),
            schedule,
            accelerator=context.accelerator,
            precision=context.precision,
            on_event=lambda event: context.tell(Trained(cell.id, event)),
        )
        facts = {"fine_tuned": True, "epoch": outcome.epoch, "epoch_accuracies": list(outcome.accuracies)}
        said = logits(model, model.encode(held_out.texts), precision=context.precision)
        with _named(context, name_of(context, cell)):
            _require_knowledge(said, held_out.labels)
    return model, {**facts, "notes": list(found.notes)}


def aligned(context: Context, found: TextModel, name: str) -> tuple[TextModel, np.ndarray]:
    """A fine-tuned teacher with its outputs in the order of the data's labels, and its logits of selection texts.

    Of several teachers each takes from `label_map` what names its own labels; one that it does not name at all is
    matched without it.

    Args:
        found: as it was read.
        name: what the recipe calls it.

    Raises:
        ModelError: its labels cannot be matched, or it does not know the task.
    """
    names, held_out = context.dataset.task.label_names, context.dataset.selection
    found.network.to(context.accelerator.device)
    said = logits(found, found.encode(held_out.texts), precision=context.precision)
    label_map = context.recipe.teacher.label_map
    if label_map and len(context.plan.top) > 1:
        label_map = {own: ours for own, ours in label_map.items() if own in found.label_names} or None
    with _named(context, name):
        order = teacher.align(found.label_names, names, label_map, said, held_out.labels)
        said = said[:, order]
        _require_knowledge(said, held_out.labels)
        return teacher.reorder(found, order, names), said


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
    return student.loss or loss_for(len(context.dataset.task.label_names))


def mean(context: Context, said: Sequence[np.ndarray]) -> np.ndarray:
    """What several teachers say together, float32 [n, classes], from the logits of each."""
    together = losses.mean_teacher(torch.from_numpy(np.stack(said)), loss_of_mean(context))
    return together.numpy()


def _require_knowledge(said: np.ndarray, labels: np.ndarray) -> None:
    found = evaluate.chance_test(said, labels)
    if found.near:
        raise ModelError(
            f"The teacher does not know this task: it is right on {found.accuracy:.1%} of {len(labels)} selection "
            f"texts, where always naming the commonest label gives {found.majority:.1%}, and its answers go with the "
            f"labels hardly more than if they were dealt at random (kappa {found.kappa:.2f}). Check the label column "
            "and the label order, take a teacher for this task, or fine-tune it longer (teacher.epochs, "
            "teacher.learning_rate)."
        )
