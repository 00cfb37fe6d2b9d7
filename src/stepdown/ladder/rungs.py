"""Trains one rung of a ladder: builds its model, has its teachers label the texts, and works through the passes."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stepdown import __version__, store, train
from stepdown.ladder import given
from stepdown.ladder.context import Begun, Context, Labelled, Trained
from stepdown.ladder.feed import Feed
from stepdown.ladder.finished import answers, model_of, unit
from stepdown.ladder.plan import TEACHER, Cell
from stepdown.objectives import Objective
from stepdown.recipe import RungSettings
from stepdown.recipe.settings import FAMILIES, batch_size_for, embedding_rate_for, epochs_for, loss_for
from stepdown.students import building, embeddings, heads, huggingface, pretrained, transformer, vocabulary
from stepdown.students.budgets import Wanted
from stepdown.students.model import TextModel
from stepdown.targets import Labeller, ModelLabeller

# Of a label where it applies: a label of one text in 10,000 must not own the loss.
_MOST_WEIGHT = 100.0


def trained(context: Context, cell: Cell) -> tuple[TextModel, dict[str, Any]]:
    """A rung's model, and facts for its manifest; its teachers must be finished."""
    settings = context.settings(cell)
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
        "epoch_losses": losses[: phases[0].schedule.epochs],
        "gold_epoch_losses": losses[phases[0].schedule.epochs :],
        "targets": digests,
        **built,
    }


def _distillation(context: Context, cell: Cell, settings: RungSettings, parts: train.Parts) -> train.Phase:
    """The training of a rung by its teachers, or by the labels if it has none."""
    soft, hard = (settings.soft_weight, settings.hard_weight) if cell.teachers else (0.0, 1.0)
    task = context.dataset.task
    objective = Objective(
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
        unit(context),
    )
    schedule = train.Schedule(
        settings.epochs or epochs_for(sum(parts.sizes)),
        _update_size(settings, parts),
        settings.learning_rate,
        accumulate=settings.accumulate,
        weight_decay=settings.weight_decay,
        warmup=settings.warmup,
        ema=settings.ema or None,
        word_dropout=settings.word_dropout,
        embedding_rate=_embedding_rate(context, settings),
        seed=context.seed(cell),
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


def _embedding_rate(context: Context, settings: RungSettings) -> float:
    if settings.embedding_rate is not None:
        return settings.embedding_rate
    # What nobody lent is random, and has all to learn.
    is_random = context.given is not None and not settings.is_pretrained and given.initial_of(context) is None
    texts, is_pair = len(context.transfer), context.dataset.task.is_pair
    return 1.0 if is_random else embedding_rate_for(settings.kind, texts, is_pair=is_pair)


def _update_size(settings: RungSettings, parts: train.Parts) -> int:
    """Texts of an update of the weights."""
    return (settings.batch_size or batch_size_for(sum(parts.sizes))) * settings.accumulate


def _labelled(context: Context, model: TextModel) -> train.Examples:
    """The labelled texts as a model reads them, with their own labels and no teacher's."""
    transfer = context.transfer
    return train.Examples.labelled(model.encode(transfer.texts), transfer.labels, len(model.label_names))


def _learned(context: Context, cell: Cell, model: TextModel, *, hints: bool) -> tuple[train.Parts, list[str]]:
    """What a rung learns from, and digests of its teachers' targets: the labelled texts alone if it has none."""
    if not cell.teachers:
        return _labelled(context, model), []
    labellers = {name: _labeller(context, name) for name in context.plan.taught_by(cell)}
    guide = labellers[context.plan.top[0]] if hints else None
    feed = Feed(
        model,
        context.transfer,
        list(labellers.values()),
        hints_of=guide if isinstance(guide, ModelLabeller) else None,
        progress=lambda done, total: context.tell(Labelled(cell.id, done, total)),
        rank=context.accelerator.process_index,
        ranks=context.accelerator.num_processes,
    )
    return feed, feed.digests


def _build(context: Context, cell: Cell, settings: RungSettings) -> tuple[TextModel, dict[str, Any]]:
    """A rung's model before it is trained, and what its manifest says of it."""
    task, length, seed = context.dataset.task, settings.max_length, context.seed(cell)
    if settings.kind == "teacher-layers":
        assert settings.layers is not None
        top = model_of(context, context.plan.top[0])
        return transformer.first_layers(top, settings.layers, max_length=length), {"notes": []}
    facts: dict[str, Any] = {"notes": []}
    is_fresh = True
    wanted = wanted_of(settings, is_pair=task.is_pair)
    if settings.is_pretrained:
        model, notes = begun(context, settings, seed)
        facts = {"notes": list(notes)}
    elif wanted is not None:
        prepared = _prepared(context, cell.position, wanted)
        model = building.student(prepared, task.label_names, length, seed, task.kind)
        facts["spent"] = building.spent(wanted, prepared.shape, prepared.coverage)
        if context.given is not None:
            facts["notes"] = [given.told_initial(context)]
    else:
        folder = context.models[settings.model]
        found = huggingface.load(
            folder, task.label_names, max_length=length, seed=seed, task=task.kind, is_pair=task.is_pair
        )
        model, facts, is_fresh = found.model, {"notes": list(found.notes)}, not found.has_head
    if is_fresh and heads.begins(task.kind):
        heads.begin(model, answers(context))
    return model, facts


def wanted_of(settings: RungSettings, *, is_pair: bool) -> Wanted | None:
    """What a rung asks for that is built to a budget; None for any other."""
    if settings.kind not in FAMILIES or settings.is_pretrained:
        return None
    return Wanted(
        settings.kind, settings.core, settings.max_params, settings.max_bytes, is_pair, settings.hidden
    )


def begun(context: Context, settings: RungSettings, seed: int = 0) -> tuple[TextModel, tuple[str, ...]]:
    """A compact student that has read text already, before it learns the task, and what there is to say of it."""
    task = context.dataset.task
    found = pretrained.load(context.models[settings.model], is_pair=task.is_pair)
    covered = building.coverage(found.words, vocabulary.count_words(context.dataset.train.texts))
    words = f"{found.name} holds {covered:.1%} of the running words of the train texts whole, the others in pieces"
    model = found.student(task.label_names, settings.max_length, seed, task.kind)
    return model, (*found.notes(), words)


def _prepared(context: Context, position: int, wanted: Wanted) -> building.Prepared:
    """Vocabulary and initial embeddings of a rung, once for all its seeds and arms."""
    folder = context.out / "prepared" / f"rung{position}"
    first = context.manifests[context.plan.top[0]]["key"]
    begins = repr(given.initial_of(context)) if context.given is not None else ""
    key = store.digest(first, context.transfer.key, repr(wanted), __version__, begins)
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
        context.dataset.task.label_names,
        context.dataset.train.texts,
        context.transfer,
        _embedding(context),
    )
    with store.write_folder(folder) as unfinished:
        building.save_prepared(prepared, unfinished)
        store.finish(unfinished, {"key": key})
    return prepared


def _embedding(context: Context) -> building.Embedding:
    """Where the embeddings of students built to a budget begin: with what the teacher makes of each word."""
    if context.given is None:
        top = model_of(context, context.plan.top[0])
        return partial(embeddings.from_teacher, top, precision=context.precision)
    encoder = given.encoder(context)
    if encoder is None:
        return embeddings.at_random
    encoder.network.to(context.accelerator.device)
    return partial(embeddings.from_encoder, encoder, precision=context.precision)


def _labeller(context: Context, name: str) -> Labeller:
    if name == TEACHER and context.given is not None:
        return given.labeller(context)
    model = model_of(context, name)
    # The model's own files, without what it once said of the splits.
    files = context.manifests[name]["files"].items()
    digest = store.digest(*sorted(f"{n} {f['sha256']}" for n, f in files if not n.endswith(".npy")))
    return ModelLabeller(model, digest, context.precision_of(model))


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
