"""Runs a recipe from its data to its results, or takes up where an earlier sitting stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from stepdown import assets, data, export, recipe, report, store, transfer
from stepdown.errors import InputError
from stepdown.ladder import cells, outcome
from stepdown.ladder.context import Context, Happening, data_key
from stepdown.ladder.plan import Cell, plan
from stepdown.recipe import Recipe
from stepdown.runtime import Calibration, Source
from stepdown.students import huggingface, saved
from stepdown.students.model import fast_precision


def open_run(chosen: Recipe, out: Path) -> Context:
    """Read and cut the data, gather the transfer set, and lay out the cells; nothing is written yet.

    Raises:
        InputError: what the recipe names is missing or unusable.
        HubError: a hub did not deliver.
    """
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    dataset = data.load(chosen.data, chosen.seed)
    gathered = transfer.build(dataset, chosen.transfer, chosen.seed)
    layout = plan(len(chosen.rungs), chosen.compare.arms, chosen.compare.seeds)
    return Context(
        chosen,
        layout,
        out,
        dataset,
        gathered.texts,
        gathered.labels,
        data_key(dataset, gathered.texts, gathered.labels),
        accelerator,
        fast_precision(accelerator.device),
    )


def check_teacher(context: Context) -> list[str]:
    """Whether the teacher knows the task already, in plain lines.

    Raises:
        ModelError: it has a head, but for other labels, or one that is no better than chance.
    """
    name = context.recipe.teacher.model[0]
    found = huggingface.load(assets.model(name), max_length=context.recipe.data.max_length)
    if not found.has_head:
        return [f"{name} ({found.model.description}) has no head for this task and will be fine-tuned first"]
    said = cells.aligned_teacher(context, found.model)[1]
    accuracy = float((said.argmax(1) == context.dataset.selection.labels).mean())
    return [f"{name} ({found.model.description}) is right on {accuracy:.1%} of {len(said):,} selection texts"]


def work_through(
    context: Context, tell: Callable[[Happening], None] = lambda happening: None
) -> dict[str, Any]:
    """Finish every cell of a run, in order, under the run's lock; then write its results and pack its bundle.

    Interrupted at any point and started again, it loses at most the cell in work.

    Args:
        tell: is called with everything that happens.

    Returns:
        The content of results.json.

    Raises:
        StoreError: another run works in the same folder, or the disk fails.
        ModelError: a model cannot serve.
        CheckError: the bundle does not say what the trained model says.
    """
    context.tell = tell
    out = context.out
    with store.lock(out / ".lock", f"another run works in {out}", wait=False):
        store.sweep(out)
        store.write_text(out / "recipe.toml", recipe.dump(context.recipe))
        for cell in context.plan.cells:
            cells.work(context, cell)
            _forget(context, cell.id)
        chosen = outcome.best(context)
        found = {**outcome.results(context), "key": _key(context)}
        _pack(context, chosen, found)
        found["bundle"] = str(out / "bundle")
        store.write_text(out / "report.html", report.html(found))
        store.write_json(out / "results.json", found)
        # As JSON has it, so that a finished run answers with the same when it is asked again.
        return dict(store.read_json(out / "results.json"))


def finished(context: Context) -> dict[str, Any] | None:
    """The results of a run that was finished before from the same inputs; None if anything is left to do."""
    for cell in context.plan.cells:
        manifest = store.finished(context.folder(cell), cells.key(context, cell))
        if manifest is None:
            return None
        context.manifests[cell.id] = manifest
    path = context.out / "results.json"
    found = store.read_json(path) if path.exists() else None
    return (
        found if found and found.get("key") == _key(context) and (context.out / "bundle").exists() else None
    )


def _key(context: Context) -> str:
    """Digest of all cells, for telling whether results.json is theirs."""
    return store.digest(*(context.manifests[cell.id]["key"] for cell in context.plan.cells))


def _pack(context: Context, chosen: Cell, found: dict[str, Any]) -> None:
    spec = context.recipe
    sources = _sources(spec)
    export.export(
        cells.model_of(context, chosen.id),
        context.out / "bundle",
        check_texts=context.dataset.report.texts[:2000],
        calibration=Calibration(),
        sources=sources,
        card=report.card(found),
    )


def _forget(context: Context, finished: str) -> None:
    """Drop models that no later cell learns from: a large rung of each seed would fill the memory."""
    order = [cell.id for cell in context.plan.cells]
    needed = {name for cell in context.plan.cells[order.index(finished) + 1 :] for name in cell.teachers}
    for name in set(context.trained) - needed - {"teacher"}:
        del context.trained[name]


def export_cell(run: Path, cell: str | None, target: Path | None) -> Path:
    """Pack a model of a finished run.

    Args:
        run: the run's folder.
        cell: its id; None for the one of the run's own bundle.
        target: a folder or a `.stepdown` file; None for `CELL.stepdown` in the working folder.

    Returns:
        Where the bundle is.

    Raises:
        InputError: the run is not finished, or has no such cell.
        CheckError: the bundle does not say what the trained model says; nothing is written.
    """
    path = run / "results.json"
    if not path.is_file():
        raise InputError(f"{path} is not there: the run is not finished. Finish it with: stepdown run RECIPE")
    found = store.read_json(path)
    known = [one["id"] for one in found["cells"]]
    name = cell or found["summary"]["bundle_cell"]
    if name not in known:
        raise InputError(f"The run in {run} has no cell {name!r}. It has: {', '.join(known)}.")
    spec = recipe.load(str(run / "recipe.toml"))
    target = target or Path(f"{name}.stepdown")
    told = {**found, "summary": {**found["summary"], "bundle_cell": name}}
    sources = _sources(spec)
    export.export(
        saved.load(run / "cells" / name, max_length=spec.data.max_length),
        target,
        check_texts=[],
        calibration=Calibration(),
        sources=sources,
        card=report.card(told),
    )
    return target


def _sources(spec: Recipe) -> list[Source]:
    teachers = [Source(name, "teacher") for name in spec.teacher.model]
    return [*teachers, Source(spec.data.source or str(spec.data.train), "data")]
