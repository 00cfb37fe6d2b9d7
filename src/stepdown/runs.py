"""Runs a recipe from its data to its results, or takes up where an earlier sitting stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from stepdown import assets, data, evaluate, packing, recipe, report, store, train, transfer
from stepdown.ladder import cells, outcome, teachers
from stepdown.ladder.context import Context, Happening, Trained, as_json, data_key
from stepdown.ladder.finished import manifest_of
from stepdown.ladder.plan import plan
from stepdown.recipe import Recipe
from stepdown.students import embeddings, huggingface
from stepdown.students.model import TextModel, fast_precision


def open_run(chosen: Recipe, out: Path, fetching: assets.Progress | None = None) -> Context:
    """Read and cut the data, gather the transfer set, fetch the models, lay out the cells; `out` is not written yet.

    What comes from a hub is of the commits that the run began with, if it did.

    Args:
        chosen: the recipe.
        out: the run's folder.
        fetching: called with (name, bytes done, bytes in all) while something is downloaded.

    Raises:
        InputError: what the recipe names is missing or unusable.
        ModelError: there is no such model.
        HubError: a hub or package index did not deliver.
    """
    # Some classifiers hold layers that a forward pass leaves out, which torch otherwise refuses with several processes.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[unused])
    tell: assets.Progress = fetching or (lambda name, done, total: None)
    with assets.following(_begun_with(out), fetching) as versions:
        with accelerator.main_process_first():
            for name in (chosen.data.source, chosen.data.train):
                if name is not None and assets.is_builtin(name):
                    assets.data(name, partial(tell, name))
        dataset = data.load(chosen.data, chosen.seed)
        with accelerator.main_process_first():
            names = [*chosen.teacher.model, *packing.rung_models(chosen)]
            models = {name: assets.model(name, progress=partial(tell, name)) for name in names}
        neighbours = partial(_neighbours, chosen, models[chosen.teacher.model[0]], accelerator.device)
        gathered = transfer.build(dataset, chosen.transfer, chosen.seed, neighbours)
    return Context(
        chosen,
        plan(len(chosen.rungs), chosen.compare.arms, chosen.compare.seeds, len(chosen.teacher.model)),
        out,
        dataset,
        gathered,
        models,
        data_key(dataset),
        accelerator,
        fast_precision(accelerator.device),
        versions,
    )


_VERSIONS = "versions.json"


def _begun_with(out: Path) -> Mapping[str, str]:
    """The commits of the hub's repositories that a run took when it began; none if it did not begin."""
    path = out / _VERSIONS
    return dict(store.read_json(path)) if path.is_file() else {}


def moved(context: Context) -> list[str]:
    """What the hub has newer versions of than the run began with, in plain lines."""
    return [
        f"{name.partition(' ')[2]} has changed on the hub since this run began ({context.versions.known[name][:12]}, "
        f"now {commit[:12]}). The run stays with what it began with; to take the new version, name another folder "
        "with --out."
        for name, commit in context.versions.moved.items()
    ]


def _neighbours(
    chosen: Recipe, folder: Path, device: torch.device, words: Sequence[str]
) -> dict[str, list[str]]:
    """The words that are nearest to each word, as the teacher has it before it is fine-tuned."""
    model = huggingface.load(folder, max_length=chosen.data.max_length).model
    model.network.to(device)
    return embeddings.neighbours(model, words, precision=fast_precision(device))


# Enough texts for a steady picture of their lengths.
_LENGTHS_OF = 20_000
_NO_CUT = 1_000_000


def check_teacher(context: Context) -> list[str]:
    """Whether each teacher knows the task already, and how long it finds the texts, in plain lines.

    Raises:
        ModelError: it has a head, but for other labels, or one that is no better than chance.
    """
    return [line for name in context.recipe.teacher.model for line in _check_teacher(context, name)]


def _check_teacher(context: Context, name: str) -> list[str]:
    length, is_pair = context.recipe.data.max_length, context.dataset.task.is_pair
    found = huggingface.load(context.models[name], max_length=length, is_pair=is_pair)
    lines = [_lengths(context, found.model)]
    if not found.has_head:
        says = "has no head for this task and will be fine-tuned first"
        return [f"{name} ({found.model.description}) {says}", *lines]
    task, labels = context.dataset.task, context.dataset.selection.labels
    taken = teachers.aligned(context, found.model, name)
    value = float(evaluate.by_text(task, evaluate.suited(task, taken.said, labels), labels).mean())
    reached = f"is right on {value:.1%} of"
    if context.metric != "accuracy":
        reached = f"reaches a {evaluate.TITLES[context.metric]} of {value:.3f} on"
    says = f"{reached} {len(labels):,} selection texts"
    return [f"{name} ({found.model.description}) {says}", *taken.notes, *lines]


def _lengths(context: Context, model: TextModel) -> str:
    texts = context.dataset.train.texts[:_LENGTHS_OF]
    lengths = model.tokenizer.encode(texts, _NO_CUT).lengths
    cut = int((lengths > model.max_length).sum())
    middle, most = np.percentile(lengths, [50, 95]).astype(int)
    return (
        f"Tokens of {len(texts):,} train texts as it reads them: {middle} in the median, {most:,} at 95%, "
        f"{int(lengths.max()):,} at most; {cut:,} are longer than {model.max_length} and are cut"
    )


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
        store.write_json(out / _VERSIONS, context.versions.taken)
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
    """Digest of all cells, for telling whether results.json is theirs."""
    return store.digest(*(context.manifests[cell.id]["key"] for cell in context.plan.cells))


def _forget(context: Context, finished: str) -> None:
    """Drop models that no later cell learns from: a large rung of each seed would fill the memory."""
    order = [cell.id for cell in context.plan.cells]
    needed = {name for cell in context.plan.cells[order.index(finished) + 1 :] for name in cell.teachers}
    for name in set(context.trained) - needed - set(context.plan.top):
        del context.trained[name]
