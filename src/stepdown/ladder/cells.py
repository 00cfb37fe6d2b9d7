"""Works through one cell: build or take the model, train it, measure it, keep it, and declare it finished."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepdown import __version__, assets, evaluate, store, train
from stepdown.ladder import teachers
from stepdown.ladder.context import Begun, Context, Ended, Labelled, Trained
from stepdown.ladder.feed import Feed
from stepdown.ladder.plan import TEACHER, Cell
from stepdown.recipe import RungSettings
from stepdown.recipe.settings import FAMILIES, batch_size_for, loss_for
from stepdown.students import building, heads, huggingface, saved
from stepdown.students.budgets import Wanted
from stepdown.students.heads import unit_of
from stepdown.students.model import TextModel, logits
from stepdown.targets import Labeller

# Texts for timing: enough for a steady figure, few enough that even a large teacher takes seconds.
_TIMED_TEXTS = 256
_TIMED_ROUNDS = 3
# Of a label where it applies: a label of one text in 10,000 must not own the loss.
_MOST_WEIGHT = 100.0


def work(context: Context, cell: Cell) -> None:
    """Finish a cell, unless it was finished before from the same inputs.

    What a cell is made from (recipe, data, teachers, seed, versions, arithmetic) is in its key; its manifest is
    written last. A cell that was interrupted leaves no trace but time. Of several processes all train, and the main
    one measures and writes.
    """
    # All processes look before any of them works.
    context.accelerator.wait_for_everyone()
    manifest = finished(context, cell)
    if manifest is not None:
        context.tell(Begun(cell.id, manifest["model"], finished_before=True))
        return
    # Before the work: should a model's files change meanwhile, this cell is of the old ones.
    made_from = key(context, cell)
    started, processor = time.perf_counter(), time.process_time()
    model: TextModel | None = None
    facts: dict[str, Any] = {}
    if cell.is_mean:
        context.tell(Begun(cell.id, mean_of(cell), finished_before=False))
    elif cell.position == 0:
        model, facts = teachers.take(context, cell, _seed(context, cell))
    else:
        model, facts = _rung(context, cell)
    folder = context.folder(cell)
    if context.accelerator.is_main_process:
        with store.write_folder(folder) as unfinished:
            kept = (
                _mean(context, cell, unfinished) if model is None else _keep(context, cell, model, unfinished)
            )
            manifest = {
                "key": made_from,
                "seconds": time.perf_counter() - started,
                "processor_seconds": time.process_time() - processor,
                **kept,
                **facts,
            }
            store.finish(unfinished, manifest)
    context.accelerator.wait_for_everyone()
    written = context.manifests[cell.id] = store.read_json(folder / store.MANIFEST)
    if model is not None:
        context.trained[cell.id] = model
    metric = context.metric
    context.tell(Ended(cell.id, written["seconds"], metric, written["metrics"][metric]["value"]))


def finished(context: Context, cell: Cell) -> dict[str, Any] | None:
    """The manifest of a cell that was finished from the same inputs, which the context then knows; else None.

    Its teachers must be finished.
    """
    manifest = store.finished(context.folder(cell), key(context, cell))
    if manifest is not None:
        context.manifests[cell.id] = manifest
    return manifest


def model_of(context: Context, cell_id: str) -> TextModel:
    """The model of a finished cell, from memory or from its folder."""
    if cell_id not in context.trained:
        found = saved.load(context.out / "cells" / cell_id, max_length=context.recipe.data.max_length)
        # Where training left it: a resumed run computes on the same device as an undisturbed one.
        found.network.to(context.accelerator.device)
        context.trained[cell_id] = found
    return context.trained[cell_id]


def outputs(context: Context, cell_id: str, split: str) -> np.ndarray:
    """What a finished cell's model says of the `report` or `selection` split: logits, float32 [n, classes].

    Of the mean of several teachers, what `losses.mean_teacher` makes of theirs.
    """
    folder = context.out / "cells" / cell_id
    kept = store.load_array(folder / f"{split}.npy")
    if kept is not None:
        return kept
    cell = context.plan.cell(cell_id)
    if cell.is_mean:
        return _outputs_of_mean(context, cell, split)
    return _ask(context, model_of(context, cell_id), split)


def said(context: Context, cell_id: str, split: str) -> evaluate.Said:
    """`outputs` with the thresholds that the cell chose for itself."""
    chosen = context.manifests[cell_id].get("thresholds")
    return evaluate.Said(outputs(context, cell_id, split), tuple(chosen) if chosen else None)


def _outputs_of_mean(context: Context, cell: Cell, split: str) -> np.ndarray:
    return teachers.mean(context, [outputs(context, name, split) for name in cell.teachers])


def _ask(context: Context, model: TextModel, split: str) -> np.ndarray:
    texts = getattr(context.dataset, split).texts
    return logits(model, model.encode(texts), precision=context.precision_of(model))


def key(context: Context, cell: Cell) -> str:
    """Digest of everything that a cell is made from; its teachers must be finished."""
    recipe = context.recipe
    if cell.is_mean:
        about: tuple[str, ...] = (teachers.loss_of_mean(context),)
    elif cell.position == 0:
        name = teachers.name_of(context, cell)
        alone = recipe.teacher.model_copy(update={"model": (name,)})  # whatever other teachers there are
        about = repr(alone), source_digest(context.models[name])
    else:
        settings = _settings(context, cell)
        source = source_digest(context.models[settings.model]) if settings.kind == "huggingface" else ""
        about = repr(settings), source, context.transfer.key
    # Every rung is measured against the teacher, whoever it learns from.
    names = (TEACHER, *cell.teachers) if cell.position else cell.teachers
    above = [context.manifests[name]["key"] for name in names]
    return store.digest(
        __version__,
        torch.__version__,
        str(context.precision),
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


def _seed(context: Context, cell: Cell) -> int:
    """Seed of a cell: the same in every arm, so that arms differ in what they learn from and nothing else."""
    return context.recipe.seed * 1000 + cell.seed


def _rung(context: Context, cell: Cell) -> tuple[TextModel, dict[str, Any]]:
    settings = _settings(context, cell)
    model, built = _build(context, cell, settings)
    context.tell(Begun(cell.id, model.description, finished_before=False))
    parts, digests = _learned(context, cell, model, hints=settings.hint_weight > 0)
    phases = [_distillation(context, cell, settings, parts)]
    if settings.gold_epochs:
        phases.append(_last_passes(settings, phases[0], _labelled(context, model)))
    losses = []
    for event in train.fit_in_phases(
        model, phases, accelerator=context.accelerator, precision=context.precision_of(model)
    ):
        context.tell(Trained(cell.id, event))
        if isinstance(event, train.Epoch):
            losses.append(event.loss)
    return model, {
        "epoch_losses": losses[: settings.epochs],
        "gold_epoch_losses": losses[settings.epochs :],
        "targets": digests,
        **built,
    }


def _distillation(context: Context, cell: Cell, settings: RungSettings, parts: train.Parts) -> train.Phase:
    """The training of a rung by its teachers, or by the labels if it has none."""
    soft, hard = (settings.soft_weight, settings.hard_weight) if cell.teachers else (0.0, 1.0)
    task = context.dataset.task
    objective = train.Objective(
        soft,
        hard,
        settings.loss or loss_for(task.kind, len(task.label_names)),
        settings.temperature,
        settings.clip,
        _class_weights(context) if settings.class_weights else None,
        tuple(context.plan.taught_by(cell).values()) or None,
        settings.hint_weight,
        parts.hint_size if isinstance(parts, Feed) else 0,
        task.kind,
        task.answers,
        unit_of(task, context.dataset.train.labels),
    )
    schedule = train.Schedule(
        settings.epochs,
        _update_size(settings, parts),
        settings.learning_rate,
        accumulate=settings.accumulate,
        weight_decay=settings.weight_decay,
        warmup=settings.warmup,
        ema=settings.ema or None,
        word_dropout=settings.word_dropout,
        seed=_seed(context, cell),
    )
    return train.Phase(parts, objective, schedule)


def _last_passes(settings: RungSettings, distillation: train.Phase, labelled: train.Examples) -> train.Phase:
    """The labelled texts once more, by their own labels alone, at a lower rate."""
    schedule = dataclasses.replace(
        distillation.schedule,
        epochs=settings.gold_epochs,
        batch_size=_update_size(settings, labelled),
        learning_rate=settings.gold_learning_rate,
    )
    objective = dataclasses.replace(distillation.objective, soft_weight=0.0, hard_weight=1.0, hint_weight=0.0)
    return train.Phase(labelled, objective, schedule)


def _settings(context: Context, cell: Cell) -> RungSettings:
    """How a rung is trained. One that has the labels alone makes no passes over them afterwards: it makes no others."""
    settings = context.recipe.resolved_rung(cell.position - 1)
    if not cell.teachers or not settings.gold_epochs:
        settings = dataclasses.replace(settings, gold_epochs=0, gold_learning_rate=0.0)
    # Hints come from the teacher: who does not learn from it, as in a chain, has none.
    if TEACHER not in cell.teachers:
        settings = dataclasses.replace(settings, hint_weight=0.0)
    return settings


def _update_size(settings: RungSettings, parts: train.Parts) -> int:
    """Texts of an update of the weights."""
    return (settings.batch_size or batch_size_for(sum(parts.sizes))) * settings.accumulate


def _labelled(context: Context, model: TextModel) -> train.Examples:
    """The labelled texts as a model reads them, with their own labels and no teacher's."""
    transfer = context.transfer
    nothing = np.zeros((0, len(transfer.texts), len(model.label_names)), np.float32)
    return train.Examples(model.encode(transfer.texts), transfer.labels, nothing)


def _learned(context: Context, cell: Cell, model: TextModel, *, hints: bool) -> tuple[train.Parts, list[str]]:
    """What a rung learns from, and digests of its teachers' targets: the labelled texts alone if it has none."""
    if not cell.teachers:
        return _labelled(context, model), []
    labellers = {name: _labeller(context, name) for name in context.plan.taught_by(cell)}
    feed = Feed(
        model,
        context.transfer,
        list(labellers.values()),
        hints_of=labellers[context.plan.top[0]] if hints else None,
        progress=lambda done, total: context.tell(Labelled(cell.id, done, total)),
        rank=context.accelerator.process_index,
        ranks=context.accelerator.num_processes,
    )
    return feed, feed.digests


def _build(context: Context, cell: Cell, settings: RungSettings) -> tuple[TextModel, dict[str, Any]]:
    """A rung's model before it is trained, and what its manifest says of it."""
    task, length, seed = context.dataset.task, context.recipe.data.max_length, _seed(context, cell)
    if settings.kind == "teacher-layers":
        assert settings.layers is not None
        top = model_of(context, context.plan.top[0])
        return huggingface.first_layers(top, settings.layers), {"notes": []}
    facts: dict[str, Any] = {"notes": []}
    wanted = wanted_of(settings, is_pair=task.is_pair)
    if wanted is not None:
        prepared = _prepared(context, cell.position, wanted)
        model = building.student(prepared, task.label_names, length, seed, task.kind)
        facts["spent"] = building.spent(wanted, prepared.shape, prepared.coverage)
    else:
        folder = context.models[settings.model]
        found = huggingface.load(
            folder, task.label_names, max_length=length, seed=seed, task=task.kind, is_pair=task.is_pair
        )
        model, facts = found.model, {"notes": list(found.notes)}
    unit = unit_of(task, context.dataset.train.labels)
    if unit is not None:
        heads.restore(model, unit)
    return model, facts


def wanted_of(settings: RungSettings, *, is_pair: bool) -> Wanted | None:
    """What a rung asks for that is built to a budget; None for any other."""
    if settings.kind not in FAMILIES:
        return None
    return Wanted(settings.kind, settings.core, settings.max_params, settings.max_bytes, is_pair)


def _prepared(context: Context, position: int, wanted: Wanted) -> building.Prepared:
    """Vocabulary and initial embeddings of a rung, once for all its seeds and arms."""
    folder = context.out / "prepared" / f"rung{position}"
    first = context.manifests[context.plan.top[0]]["key"]
    key = store.digest(first, context.transfer.key, repr(wanted), __version__)
    # The other processes of the run wait until the main one has it on disk.
    with context.accelerator.main_process_first():
        return _prepared_once(context, wanted, folder, key)


def _prepared_once(context: Context, wanted: Wanted, folder: Path, key: str) -> building.Prepared:
    if store.finished(folder, key) is not None:
        found = building.load_prepared(folder)
        if found is not None:
            return found
    prepared = building.prepare(
        wanted,
        context.dataset.train.texts,
        context.transfer,
        model_of(context, context.plan.top[0]),
        precision=context.precision,
    )
    with store.write_folder(folder) as unfinished:
        building.save_prepared(prepared, unfinished)
        store.finish(unfinished, {"key": key})
    return prepared


def _labeller(context: Context, name: str) -> Labeller:
    model = model_of(context, name)
    # The model's own files, without what it once said of the splits.
    files = context.manifests[name]["files"].items()
    digest = store.digest(*sorted(f"{n} {f['sha256']}" for n, f in files if not n.endswith(".npy")))
    return Labeller(model, digest, context.precision_of(model))


def _class_weights(context: Context) -> tuple[float, ...]:
    """Weights by the frequency of each label in the train split.

    Of exclusive labels inverse to it, 1 on average over the texts (as scikit-learn's "balanced"). Of labels that are
    judged each by itself, the texts without it over those with it, which count as much then; at most `_MOST_WEIGHT`.
    """
    task, labels = context.dataset.task, context.dataset.train.labels
    if task.kind == "multi-label":
        share = task.truth(labels[labels >= 0]).mean(0).astype(np.float64)
        return tuple(np.minimum((1 - share) / np.maximum(share, 1e-9), _MOST_WEIGHT).tolist())
    counts = np.bincount(labels, minlength=len(task.label_names))
    return tuple(float(counts.sum() / (len(counts) * count)) for count in np.maximum(counts, 1))


def _keep(context: Context, cell: Cell, model: TextModel, folder: Path) -> dict[str, Any]:
    """Save and measure a model; facts for its manifest."""
    saved.save(model, folder)
    size = saved.size(folder)
    measured = _measure(context, cell, partial(_ask, context, model), folder)
    timing, processor = _time(model, context.dataset.report.texts, context.precision_of(model))
    measured["metrics"]["ms_per_text"] = timing
    return {
        "model": model.description,
        "parameters": model.parameters,
        "bytes": size,
        **measured,
        "processor_ms_per_text": processor,
    }


def mean_of(cell: Cell) -> str:
    """What the mean of several teachers is, in a few words for people."""
    return f"mean of {len(cell.teachers)} models"


def _mean(context: Context, cell: Cell, folder: Path) -> dict[str, Any]:
    """Measure the mean of several teachers, which is as large and as slow as all of them together."""
    members = [context.manifests[name] for name in cell.teachers]
    measured = _measure(context, cell, partial(_outputs_of_mean, context, cell), folder)
    timings = [member["metrics"]["ms_per_text"] for member in members]
    timing = {key: sum(one[key] for one in timings) for key in ("value", "low", "high")}
    measured["metrics"]["ms_per_text"] = {**timing, "n": timings[0]["n"]}
    summed = ("parameters", "bytes", "processor_ms_per_text")
    return {
        "model": mean_of(cell),
        **{key: sum(member[key] for member in members) for key in summed},
        **measured,
    }


def _measure(context: Context, cell: Cell, ask: Callable[[str], np.ndarray], folder: Path) -> dict[str, Any]:
    """Metrics on both splits, of which `ask` gives the outputs; they are kept in the folder.

    Thresholds are chosen on the selection split, and told where the task has any.
    """
    result: dict[str, Any] = {}
    task = context.dataset.task
    thresholds: tuple[float, ...] | None = None
    for split, name in (("selection", "selection_metrics"), ("report", "metrics")):
        labels = getattr(context.dataset, split).labels
        outputs_of_it = ask(split)
        store.save_array(folder / f"{split}.npy", outputs_of_it)
        if split == "selection":
            thresholds = evaluate.thresholds(task, outputs_of_it, labels)
        above = said(context, TEACHER, split) if cell.position else None
        found = evaluate.measure(task, evaluate.Said(outputs_of_it, thresholds), labels, above)
        result[name] = {key: dataclasses.asdict(metric) for key, metric in found.items()}
    return result if thresholds is None else {**result, "thresholds": list(thresholds)}


def _time(model: TextModel, texts: list[str], precision: torch.dtype) -> tuple[dict[str, float | int], float]:
    """Milliseconds per text, tokenisation included: median, lowest and highest of three rounds; and of processors."""
    timed = texts[:_TIMED_TEXTS]
    rounds = []
    processor = time.process_time()
    for _ in range(_TIMED_ROUNDS):
        start = time.perf_counter()
        logits(model, model.encode(timed), precision=precision)
        rounds.append((time.perf_counter() - start) * 1000 / len(timed))
    processor = (time.process_time() - processor) * 1000 / (len(timed) * _TIMED_ROUNDS)
    timing = {"value": float(np.median(rounds)), "low": min(rounds), "high": max(rounds), "n": len(timed)}
    return timing, processor
