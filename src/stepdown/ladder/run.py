"""Runs a recipe from its data to its results, or takes up where an earlier sitting stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from stepdown import data, recipe, store, transfer
from stepdown.ladder import cells
from stepdown.ladder.context import Context, Happening, data_key
from stepdown.ladder.plan import plan
from stepdown.recipe import Recipe
from stepdown.students.model import fast_precision


def open_run(chosen: Recipe, out: Path, tell: Callable[[Happening], None]) -> Context:
    """Read and cut the data, gather the transfer set, and lay out the cells; nothing is written yet.

    Raises:
        InputError: what the recipe names is missing or unusable.
        HubError: a hub did not deliver.
    """
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    dataset = data.load(chosen.data, chosen.seed)
    gathered = transfer.build(dataset, chosen.transfer)
    known = {text: int(label) for text, label in zip(dataset.train.texts, dataset.train.labels, strict=True)}
    others = [text for text in gathered.texts if text not in known]
    texts = [*dataset.train.texts, *others]
    labels = np.concatenate([dataset.train.labels, np.full(len(others), -1, np.int64)])
    layout = plan(len(chosen.rungs), chosen.compare.arms, chosen.compare.seeds)
    return Context(
        chosen,
        layout,
        out,
        dataset,
        texts,
        labels,
        data_key(dataset, texts, labels),
        accelerator,
        fast_precision(accelerator.device),
        tell,
    )


def work_through(context: Context) -> None:
    """Finish every cell of a run, in order, under the run's lock.

    Interrupted at any point and started again, it loses at most the cell in work.

    Raises:
        StoreError: another run works in the same folder, or the disk fails.
        ModelError: a model cannot serve.
    """
    with store.lock(context.out / ".lock", f"another run works in {context.out}", wait=False):
        store.sweep(context.out)
        store.write_text(context.out / "recipe.toml", recipe.dump(context.recipe))
        for cell in context.plan.cells:
            cells.work(context, cell)
            _forget(context, cell.id)


def _forget(context: Context, finished: str) -> None:
    """Drop models that no later cell learns from: a large rung of each seed would fill the memory."""
    order = [cell.id for cell in context.plan.cells]
    needed = {name for cell in context.plan.cells[order.index(finished) + 1 :] for name in cell.teachers}
    for name in set(context.trained) - needed - {"teacher"}:
        del context.trained[name]

