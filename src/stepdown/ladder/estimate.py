"""How long a run will take, from a few timed steps of each of its models, before time is spent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepdown import train
from stepdown.ladder import given, measuring, rungs, teachers
from stepdown.ladder.context import Context
from stepdown.ladder.finished import manifest_of
from stepdown.ladder.plan import TEACHER, Cell
from stepdown.objectives import Objective
from stepdown.recipe.settings import batch_size_for, epochs_for, fine_tuning_epochs
from stepdown.students import budgets, building, huggingface, transformer, vocabulary
from stepdown.students.model import TextModel, logits
from stepdown.tokens import Tokens

# Steps that are timed after as many that warm up: large models take long for each and differ little between them.
_STEPS = {"huggingface": 4, "compact": 16, "bag": 16}
_ASKED = 256
# The vocabulary of so many texts is large enough for its size to decide what a budget is spent on.
_COUNTED = 20_000
# Bytes on disk for one parameter of a kept model.
_BYTES_PER_PARAMETER = 4
# Share of a text's time that a word alone takes a teacher, when it lends its embeddings to a student built to a budget.
_WORD_SHARE = 0.25


@dataclass(frozen=True)
class Estimate:
    """What a cell will cost.

    Attributes:
        seconds: of work, `asking` included; 0 for a cell that is finished.
        asking: seconds of it in which teachers label texts, before training begins.
        bytes: on disk.
        finished: whether it is done already.
        description: of its model.
        spent: what its budget will be spent on, as `results.Spent` has it; None where it is not built to one.
        notes: what its checkpoint holds or lacks, in plain lines.
    """

    seconds: float
    asking: float
    bytes: int
    finished: bool
    description: str
    spent: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Built:
    """A model of the size that a cell will have.

    Attributes:
        batch_size: texts of a training step.
        trained: whether the model still has to be trained: a teacher with a head has not.
        spent: what its budget is spent on, if it is built to one.
        notes: of how it was read.
    """

    model: TextModel
    batch_size: int
    trained: bool = True
    spent: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pace:
    """Seconds of one training step and of asking about one text, and what was timed."""

    step: float
    text: float
    built: _Built

    @property
    def model(self) -> TextModel:
        """What was timed."""
        return self.built.model


def estimate(context: Context) -> dict[str, Estimate]:
    """What each cell of a run will cost, by cell id; takes a few seconds for each kind of model.

    A cell's own key is not known before its teachers are trained, so a cell counts as finished when its manifest
    is there and its teachers are finished too.
    """
    paces: dict[str, _Pace] = {}
    found: dict[str, Estimate] = {}
    asked: set[str] = set()
    prepared: set[int] = set()
    for cell in context.plan.cells:
        manifest = _finished(context, cell, found)
        if manifest is not None:
            found[cell.id] = Estimate(0.0, 0.0, 0, True, manifest["model"], manifest.get("spent"))
            asked.update(context.plan.taught_by(cell) if cell.position else ())
            prepared.add(cell.position)
            continue
        if cell.is_mean:
            # Its members are measured by then.
            found[cell.id] = Estimate(0.0, 0.0, 0, False, measuring.mean_of(cell))
            continue
        if cell.position == 0 and context.given is not None:
            found[cell.id] = Estimate(0.0, 0.0, 0, False, context.given.description)
            continue
        taught_by = context.plan.taught_by(cell)
        # From the top down: what copies the teacher's layers finds the teacher there.
        above = (
            [context.plan.cell(name) for name in (context.plan.top[0], *taught_by)] if cell.position else []
        )
        for one in (*above, cell):
            if _like(one) not in paces and (one.position or context.given is None):
                paces[_like(one)] = _pace(context, one, paces)
        fresh = [name for name in taught_by if name not in asked]
        found[cell.id] = _cost(context, cell, paces, fresh, first=cell.position not in prepared)
        asked.update(fresh)
        prepared.add(cell.position)
    return found


def _like(cell: Cell) -> str:
    """What cells have in common that take equally long: a rung's position; each teacher is its own."""
    return f"rung {cell.position}" if cell.position else cell.id


def _finished(context: Context, cell: Cell, found: dict[str, Estimate]) -> dict[str, Any] | None:
    above = (TEACHER, *cell.teachers) if cell.position else cell.teachers
    if not all(name in found and found[name].finished for name in above):
        return None
    return manifest_of(context, cell)


def _pace(context: Context, cell: Cell, paces: dict[str, _Pace]) -> _Pace:
    position = cell.position
    built = _model(context, cell, paces)
    model, batch_size = built.model, built.batch_size
    precision = context.precision_of(model)
    count = batch_size * _STEPS[model.kind]
    texts = _some(context, max(_ASKED, count), labelled=position == 0)
    learned = model.encode(texts[:count])
    accumulate = context.recipe.resolved_rung(position - 1).accumulate if position else 1
    step = _step(context, model, learned, batch_size, accumulate) if built.trained else 0.0
    asked = model.encode(texts[:_ASKED])
    logits(model, asked, precision=precision)
    last = time.perf_counter()
    logits(model, asked, precision=precision)
    return _Pace(step, (time.perf_counter() - last) / len(asked), built)


def _some(context: Context, count: int, *, labelled: bool) -> list[str]:
    """Texts that stand for all of the transfer set, or for the labelled ones of it."""
    if not labelled or not context.dataset.train.is_labelled:
        return context.transfer.sample(count)
    texts = context.dataset.train.texts
    return [texts[row] for row in np.random.default_rng(0).permutation(len(texts))[:count]]


def _step(context: Context, model: TextModel, tokens: Tokens, batch_size: int, accumulate: int) -> float:
    """Seconds of a training step: the mean of a second pass, since batches differ in length; the first warms up."""
    unknown, task = np.full(len(tokens), -1), context.dataset.task.kind
    examples = train.Examples(tokens, unknown, np.zeros((1, len(tokens), len(model.label_names)), np.float32))
    objective = Objective(1.0, 0.0, "mse" if task == "regression" else "kl", task=task)
    events = train.fit(
        model,
        examples,
        objective,
        train.Schedule(2, batch_size, 1e-6, accumulate=accumulate),
        accelerator=context.accelerator,
        precision=context.precision_of(model),
    )
    times = []
    last = time.perf_counter()
    for event in events:
        if isinstance(event, train.Step):
            times.append(time.perf_counter() - last)
        last = time.perf_counter()
    return float(np.mean(times[len(times) // 2 :]))


def _model(context: Context, cell: Cell, paces: dict[str, _Pace]) -> _Built:
    recipe, task = context.recipe, context.dataset.task
    names, length, is_pair = task.label_names, context.max_length(cell), task.is_pair
    if cell.position == 0:
        folder = context.models[teachers.name_of(context, cell)]
        found = huggingface.load_teacher(folder, names, max_length=length, task=task.kind, is_pair=is_pair)
        return _Built(found.model, recipe.teacher.batch_size, not found.has_head, notes=found.notes)
    settings = recipe.resolved_rung(cell.position - 1)
    size = (settings.batch_size or batch_size_for(len(context.transfer))) * settings.accumulate
    if settings.is_pretrained:
        model, notes = rungs.begun(context, settings)
        return _Built(model, size, notes=notes)
    wanted = rungs.wanted_of(settings, is_pair=is_pair)
    if wanted is not None:
        counts = vocabulary.count_words(context.transfer.sample(_COUNTED))
        words, shape = budgets.sized(wanted, names, counts, counts)
        spent = building.spent(wanted, shape, building.coverage(words, counts))
        notes = () if context.given is None else (given.told_initial(context),)
        built = building.untaught(words, shape, names, length, task=task.kind)
        return _Built(built, size, spent=spent, notes=notes)
    if settings.kind == "teacher-layers":
        assert settings.layers is not None
        top = paces[context.plan.top[0]].model
        return _Built(transformer.first_layers(top, settings.layers, max_length=length), size)
    folder = context.models[settings.model]
    found = huggingface.load(folder, names, max_length=length, task=task.kind, is_pair=is_pair)
    return _Built(found.model, size, notes=found.notes)


def _cost(
    context: Context, cell: Cell, paces: dict[str, _Pace], fresh: list[str], *, first: bool
) -> Estimate:
    """What a cell costs that has to ask the teachers `fresh`, which nobody asked before.

    Args:
        first: whether it is the first of its position, which prepares what the others share.
    """
    pace = paces[_like(cell)]
    labelled = len(context.dataset.train.texts)
    measured = len(context.dataset.selection.texts) + len(context.dataset.report.texts)
    # A teacher that is no model is not timed: ready soft labels are there at once.
    timed = [paces[_like(above)] for name in fresh if _like(above := context.plan.cell(name)) in paces]
    asking = sum(one.text for one in timed) * len(context.transfer)
    if cell.position == 0:
        epochs = 0
        if pace.built.trained:
            epochs = context.recipe.teacher.epochs or fine_tuning_epochs(
                labelled, pace.built.batch_size, context.dataset.task.kind
            )
        learned = epochs * labelled
        measured += max(1, epochs) * len(context.dataset.selection.texts)
    else:
        settings = context.recipe.resolved_rung(cell.position - 1)
        texts = len(context.transfer) if cell.teachers else labelled
        learned = (settings.epochs or epochs_for(texts)) * texts
        if cell.teachers:
            learned += settings.gold_epochs * labelled
    # Fewer texts may have smaller batches, but a text costs what it costs.
    seconds = asking + learned / pace.built.batch_size * pace.step + measured * pace.text
    if first and pace.built.spent and context.plan.top[0] in paces:
        seconds += pace.model.tokenizer.vocab_size * paces[context.plan.top[0]].text * _WORD_SHARE
    size = pace.model.parameters * _BYTES_PER_PARAMETER + measured * 4 * len(pace.model.label_names)
    built = pace.built
    return Estimate(seconds, asking, size, False, pace.model.description, built.spent, built.notes)
