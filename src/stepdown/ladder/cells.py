"""Works through one cell: build or take the model, train it, measure it, keep it, and declare it finished."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from stepdown import store
from stepdown.ladder import given, measuring, rungs, teachers
from stepdown.ladder.context import Begun, Context, Ended
from stepdown.ladder.finished import key, manifest_of
from stepdown.ladder.plan import Cell
from stepdown.students.model import TextModel


def work(context: Context, cell: Cell) -> None:
    """Finish a cell, unless it was finished before from the same inputs.

    What a cell is made from (recipe, data, teachers, seed, versions, device, precision) is in its key; its manifest is
    written last. A cell that was interrupted leaves no trace but time. Of several processes all train, and the main
    one measures and writes.
    """
    manifest = manifest_of(context, cell)
    # All processes look before any of them works.
    context.accelerator.wait_for_everyone()
    if manifest is not None:
        context.tell(Begun(cell.id, manifest["model"], finished_before=True))
        return
    # Before the work: should a model's files change meanwhile, this cell is of the old ones.
    made_from = key(context, cell)
    started, processor = time.perf_counter(), time.process_time()
    model: TextModel | None = None
    labeller: given.GivenLabeller | None = None
    facts: dict[str, Any] = {}
    if cell.is_mean:
        context.tell(Begun(cell.id, measuring.mean_of(cell), finished_before=False))
    elif cell.position == 0 and context.given is not None:
        context.tell(Begun(cell.id, context.given.description, finished_before=False))
        labeller, facts = given.taken(context)
    elif cell.position == 0:
        model, facts = teachers.take(context, cell, context.seed(cell))
    else:
        model, facts = rungs.trained(context, cell)
    folder = context.folder(cell)
    if context.accelerator.is_main_process:
        with store.write_folder(folder) as unfinished:
            manifest = {
                "key": made_from,
                **_kept(context, cell, model or labeller, unfinished),
                **facts,
                "seconds": time.perf_counter() - started,
                "processor_seconds": time.process_time() - processor,
            }
            store.finish(unfinished, manifest)
    context.accelerator.wait_for_everyone()
    written = context.manifests[cell.id] = store.read_json(folder / store.MANIFEST)
    if model is not None:
        context.trained[cell.id] = model
    metric = context.metric
    reached = written["metrics"].get(metric)
    context.tell(Ended(cell.id, written["seconds"], metric, reached["value"] if reached else None))


def _kept(
    context: Context, cell: Cell, made: TextModel | given.GivenLabeller | None, folder: Path
) -> dict[str, Any]:
    """Keep and measure what a cell made: a model, a teacher that is none, or the mean of several."""
    if made is None:
        return measuring.keep_mean(context, cell, folder)
    if isinstance(made, given.GivenLabeller):
        return measuring.keep_given(context, cell, made, folder)
    return measuring.keep(context, cell, made, folder)
