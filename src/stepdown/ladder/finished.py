"""What finished cells left: their manifests, their models, and what these say of the splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stepdown import assets, evaluate, store
from stepdown.ladder import given, teachers
from stepdown.ladder.context import Context, HeldOut
from stepdown.ladder.plan import TEACHER, Cell
from stepdown.outputs import UNCALIBRATED, Calibration, probabilities
from stepdown.students import saved
from stepdown.students.heads import Unit
from stepdown.students.model import TextModel, arithmetic, logits


def manifest_of(context: Context, cell: Cell) -> dict[str, Any] | None:
    """The manifest of a cell that was finished from the same inputs, which the context then knows; else None.

    Its teachers must be finished.
    """
    manifest = store.finished(context.folder(cell), key(context, cell))
    if manifest is not None:
        context.manifests[cell.id] = manifest
    return manifest


def key(context: Context, cell: Cell) -> str:
    """Digest of everything that a cell is made from; its teachers must be finished."""
    recipe = context.recipe
    if cell.is_mean:
        about: tuple[str, ...] = (teachers.loss_of_mean(context),)
    elif cell.position == 0:
        name = teachers.name_of(context, cell)
        alone = recipe.teacher.model_copy(update={"model": (name,)})  # whatever other teachers there are
        about = repr(alone), context.given.digest if context.given else source_digest(context.models[name])
    else:
        settings = context.settings(cell)
        source = source_digest(context.models[settings.model]) if settings.model in context.models else ""
        about = repr(settings), source, context.transfer.key
    # Every rung is measured against the teacher, whoever it learns from.
    names = (TEACHER, *cell.teachers) if cell.position else cell.teachers
    above = [context.manifests[name]["key"] for name in names]
    return store.digest(
        *arithmetic(context.accelerator.device, context.precision),
        context.data_key,
        str((recipe.seed, recipe.data.max_length, cell.arm, cell.seed)),
        *about,
        *above,
    )


def source_digest(folder: Path) -> str:
    """Digest of a model that a recipe names: of the hub's, its commit, since other tools add files to its cache."""
    name = assets.hub_name(folder)
    return folder_digest(folder) if name is None else store.digest(name, folder.name)


def folder_digest(folder: Path) -> str:
    """Digest of a model folder: names, sizes and contents of its files, without manifests, which hold times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != store.MANIFEST)
    parts = [f"{path.relative_to(folder)} {path.stat().st_size} {store.file_digest(path)}" for path in files]
    return store.digest(*parts)


def model_of(context: Context, cell_id: str) -> TextModel:
    """The model of a finished cell, from memory or from its folder."""
    if cell_id not in context.trained:
        length = context.max_length(context.plan.cell(cell_id))
        found = saved.load(context.out / "cells" / cell_id, max_length=length)
        # Where training left it: a resumed run computes on the same device as an undisturbed one.
        found.network.to(context.accelerator.device)
        context.trained[cell_id] = found
    return context.trained[cell_id]


def outputs(context: Context, cell_id: str, split: HeldOut) -> np.ndarray | None:
    """What a finished cell's model says of a held-out split: logits, float32 [n, classes].

    Of the mean of several teachers, what `losses.mean_teacher` makes of theirs; None of a teacher that is not at hand
    and said nothing of it.
    """
    folder = context.out / "cells" / cell_id
    kept = store.load_array(folder / f"{split}.npy")
    if kept is not None:
        return kept
    cell = context.plan.cell(cell_id)
    if cell.is_mean:
        return outputs_of_mean(context, cell, split)
    if cell.position == 0 and context.given is not None:
        return ask_given(context, given.labeller(context), split)
    return ask(context, model_of(context, cell_id), split)


def said(context: Context, cell_id: str, split: HeldOut) -> evaluate.Said | None:
    """`outputs` with the calibration of the cell."""
    found = outputs(context, cell_id, split)
    return None if found is None else evaluate.Said(found, calibration_of(context.manifests[cell_id]))


def calibration_of(manifest: Mapping[str, Any]) -> Calibration:
    """What was fitted when a cell was measured; nothing for a regression."""
    kept = manifest.get("calibration")
    if kept is None:
        return UNCALIBRATED
    return Calibration(**{**kept, "thresholds": tuple(kept["thresholds"]) if kept["thresholds"] else None})


def calibration_in(folder: Path) -> Calibration:
    """The calibration of the cell whose folder it is; nothing for any other model's."""
    path = folder / store.MANIFEST
    manifest = store.read_json(path) if path.is_file() else None
    # Other tools write files of that name, too.
    return calibration_of(manifest) if isinstance(manifest, dict) and "key" in manifest else UNCALIBRATED


def outputs_of_mean(context: Context, cell: Cell, split: HeldOut) -> np.ndarray:
    """What several teachers say together of a split."""
    members = [outputs(context, name, split) for name in cell.teachers]
    return teachers.mean(context, [one for one in members if one is not None])


def ask(context: Context, model: TextModel, split: HeldOut) -> np.ndarray:
    """What a model says of a split."""
    return logits(model, model.encode(context.split(split).texts), precision=context.precision_of(model))


def ask_given(context: Context, labeller: given.GivenLabeller, split: HeldOut) -> np.ndarray | None:
    """What a teacher that is no model says of a split; None where that is not all of it."""
    found = labeller.ask(context.split(split).texts)
    return None if np.isnan(found).any() else found


def answers(context: Context) -> np.ndarray:
    """The right answers of train texts, or what the teacher says where these have none, float32 [n, outputs].

    Labels are 0 to 1. The teacher must be finished.
    """
    dataset = context.dataset
    task, labels = dataset.task, dataset.train.labels
    if dataset.train.is_labelled:
        return task.truth(labels[labels >= 0])
    found = outputs(context, TEACHER, "selection")
    if found is None:
        found = given.labeller(context).ask(dataset.train.texts[: given.CHECKED])
    return found if task.kind == "regression" else probabilities(task.kind, found, 1.0)


def unit(context: Context) -> Unit | None:
    """The unit of the numbers that are predicted: of `answers`; None for other tasks."""
    return Unit.of(answers(context)) if context.dataset.task.kind == "regression" else None
