"""Works through a run, cell by cell, to its results and its bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stepdown import packing, recipe, report, store, train
from stepdown.ladder import cells, outcome
from stepdown.ladder.context import Context, Happening, Trained, as_json
from stepdown.ladder.finished import manifest_of
from stepdown.runs.opening import VERSIONS


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
    out, everyone = context.out, context.accelerator
    if not everyone.is_main_process:
        _work(context)
        everyone.wait_for_everyone()
        return dict(store.read_json(out / "results.json"))
    with store.lock(out / ".lock", f"another run works in {out}", wait=False):
        _tidy(out)
        store.write_text(out / "recipe.toml", recipe.dump(context.recipe))
        store.write_json(out / VERSIONS, context.versions.taken)
        packing.keep_check_texts(context)
        with store.append(out / "log.jsonl") as log:
            context.tell = partial(_tell, tell, log)
            _work(context)
        chosen = outcome.best(context)
        found = {**outcome.results(context), "key": _key(context)}
        packing.pack(context, chosen.id, found)
        found["bundle"] = str(out / "bundle")
        store.write_text(out / "report.html", report.html(found))
        store.write_json(out / "results.json", found)
        everyone.wait_for_everyone()
        # As JSON has it, so that a finished run answers with the same when it is asked again.
        return dict(store.read_json(out / "results.json"))


def _tidy(out: Path) -> None:
    """Take away what an earlier sitting left: half-written files, and results that may be of another recipe."""
    store.sweep(out)
    with store.disk_errors(out):
        # Of a kill while the bundle was packed; under the lock nobody else works here.
        for leftover in out.glob(".bundle.*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        for name in ("results.json", "report.html"):
            (out / name).unlink(missing_ok=True)


def _work(context: Context) -> None:
    for cell in context.plan.cells:
        cells.work(context, cell)
        _forget(context, cell.id)


def _tell(
    tell: Callable[[Happening], None], log: Callable[[dict[str, Any]], None], happening: Happening
) -> None:
    """Pass a happening on, and keep it in the log: all but single steps, of which there are too many."""
    tell(happening)
    if not (isinstance(happening, Trained) and isinstance(happening.event, train.Step)):
        log(as_json(happening))


def finished(context: Context) -> dict[str, Any] | None:
    """The results of a run that was finished before from the same inputs; None if anything is left to do."""
    found = _finished(context)
    # No process may begin to work while another still looks whether there is anything to do.
    context.accelerator.wait_for_everyone()
    return found


def _finished(context: Context) -> dict[str, Any] | None:
    if any(manifest_of(context, cell) is None for cell in context.plan.cells):
        return None
    path = context.out / "results.json"
    found = store.read_json(path) if path.exists() else None
    if not found or found.get("key") != _key(context) or not (context.out / "bundle").exists():
        return None
    return {**found, "bundle": str(context.out / "bundle")}


def _key(context: Context) -> str:
    """Digest of all cells, and of the recipe, of which results and cards tell more than cells are made from."""
    cells = (context.manifests[cell.id]["key"] for cell in context.plan.cells)
    return store.digest(recipe.dump(context.recipe), *cells)


def _forget(context: Context, finished: str) -> None:
    """Drop models that no later cell learns from: a large rung of each seed would fill the memory."""
    order = [cell.id for cell in context.plan.cells]
    needed = {name for cell in context.plan.cells[order.index(finished) + 1 :] for name in cell.teachers}
    for name in set(context.trained) - needed - set(context.plan.top):
        del context.trained[name]
