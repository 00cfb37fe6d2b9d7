"""How long a run will take, from a few timed steps of each of its models, before time is spent."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from stepdown import assets, store, train
from stepdown.ladder import cells
from stepdown.ladder.context import Context
from stepdown.ladder.plan import TEACHER, Cell
from stepdown.students import huggingface, vocabulary
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.students.model import TextModel, logits

_STEPS = 4
_ASKED = 256
# Bytes on disk for one parameter of a kept model.
_BYTES_PER_PARAMETER = 4


@dataclass(frozen=True)
class Estimate:
    """What a cell will cost.

    Attributes:
        seconds: of work; 0 for a cell that is finished.
        bytes: on disk.
        finished: whether it is done already.
        description: of its model.
    """

    seconds: float
    bytes: int
    finished: bool
    description: str


@dataclass(frozen=True)
class _Pace:
    """Seconds of one training step and of asking about one text, and the model that they were measured on."""

    step: float
    text: float
    model: TextModel


def estimate(context: Context) -> dict[str, Estimate]:
    """What each cell of a run will cost, by cell id; takes a few seconds for each kind of model.

    A cell's own key is not known before its teachers are trained, so a cell counts as finished when its manifest
    is there and its teachers are finished too.
    """
    paces: dict[int, _Pace] = {}
    found: dict[str, Estimate] = {}
    for cell in context.plan.cells:
        manifest = _finished(context, cell, found)
        if manifest is not None:
            found[cell.id] = Estimate(0.0, 0, True, manifest["model"])
            continue
        if cell.position not in paces:
            paces[cell.position] = _pace(context, cell)
        found[cell.id] = _cost(context, cell, paces)
    return found


def _finished(context: Context, cell: Cell, found: dict[str, Estimate]) -> dict[str, str] | None:
    above = (TEACHER, *cell.teachers) if cell.position else ()
    if not all(name in found and found[name].finished for name in above):
        return None
    manifest = store.finished(context.folder(cell), cells.key(context, cell))
    if manifest is not None:
        context.manifests[cell.id] = manifest
    return manifest


def _pace(context: Context, cell: Cell) -> _Pace:
    model, batch_size = _model(context, cell.position)
    texts = context.texts
    draw = np.random.default_rng(0)
    sample = [texts[row] for row in draw.permutation(len(texts))[: batch_size * _STEPS]]
    tokens = model.encode(sample)
    examples = train.Examples(
        tokens,
        np.zeros(len(sample), np.int64),
        np.zeros((0, len(sample), len(model.label_names)), np.float32),
    )
    objective = train.Objective(soft_weight=0.0, hard_weight=1.0)
    schedule = train.Schedule(2, batch_size, 1e-6)
    times = []
    last = time.perf_counter()
    for event in train.fit(
        model,
        examples,
        objective,
        schedule,
        accelerator=context.accelerator,
        precision=context.precision_of(model),
    ):
        if isinstance(event, train.Step):
            times.append(time.perf_counter() - last)
        last = time.perf_counter()
    # The first pass warms up; the mean of the second, since batches differ in length.
    step = float(np.mean(times[len(times) // 2 :]))
    asked = model.encode(sample[:_ASKED])
    last = time.perf_counter()
    logits(model, asked, precision=context.precision_of(model))
    return _Pace(step, (time.perf_counter() - last) / len(asked), model)


def _model(context: Context, position: int) -> tuple[TextModel, int]:
    """A model of the size that the cell will have, and its batch size."""
    recipe, names = context.recipe, context.dataset.task.label_names
    length = recipe.data.max_length
    if position == 0:
        folder = assets.model(recipe.teacher.model[0])
        return huggingface.load(folder, names, max_length=length).model, recipe.teacher.batch_size
    settings = recipe.resolved_rung(position - 1)
    size = settings.batch_size * settings.accumulate
    if settings.kind == "compact":
        assert settings.max_params is not None
        counts = vocabulary.count_words(context.texts)
        ranked = vocabulary.rank(counts, counts)
        shape = shape_for(settings.max_params, len(ranked) + 2, len(names))
        words = vocabulary.choose(ranked, counts, shape.vocabulary)
        shape = shape_for(settings.max_params, words.vocab_size, len(names))
        return TextModel(CompactNetwork(shape), words, names, length, "compact", shape.describe()), size
    if settings.kind == "teacher-layers":
        assert settings.layers is not None
        return huggingface.first_layers(_model(context, 0)[0], settings.layers), size
    return huggingface.load(assets.model(settings.model), names, max_length=length).model, size


def _cost(context: Context, cell: Cell, paces: dict[int, _Pace]) -> Estimate:
    pace = paces[cell.position]
    measured = len(context.dataset.selection.texts) + len(context.dataset.report.texts)
    if cell.position == 0:
        spec = context.recipe.teacher
        folder = assets.model(spec.model[0])
        has_head = huggingface.load(folder, max_length=context.recipe.data.max_length).has_head
        steps = 0 if has_head else spec.epochs * -(-len(context.dataset.train.texts) // spec.batch_size)
        asked = measured + (0 if has_head else spec.epochs * len(context.dataset.selection.texts))
    else:
        settings = context.recipe.resolved_rung(cell.position - 1)
        learned = len(context.texts) if cell.teachers else len(context.dataset.train.texts)
        steps = settings.epochs * -(-learned // (settings.batch_size * settings.accumulate))
        asked = measured
    seconds = steps * pace.step + asked * pace.text
    # A teacher labels the transfer set once, for the first cell that learns from it.
    students = [c.id for c in context.plan.cells if cell.id in c.teachers]
    if students:
        seconds += len(context.texts) * pace.text
    size = pace.model.parameters * _BYTES_PER_PARAMETER + measured * 4 * len(pace.model.label_names)
    return Estimate(seconds, size, False, pace.model.description)
