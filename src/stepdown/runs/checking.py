"""Looks at a run's teachers before time is spent."""

from __future__ import annotations

import numpy as np

from stepdown import evaluate
from stepdown.ladder import given, teachers
from stepdown.ladder.context import Context, Given
from stepdown.students import huggingface
from stepdown.students.model import TextModel

# Enough texts for a steady picture of their lengths.
_LENGTHS_OF = 20_000
_NO_CUT = 1_000_000


def check_teacher(context: Context) -> list[str]:
    """Whether each teacher knows the task already, and how long it finds the texts, in plain lines.

    Raises:
        ModelError: it has a head, but for other labels, or one that is no better than chance.
    """
    if context.given is not None:
        return _check_given(context, context.given)
    return [line for name in context.recipe.teacher.model for line in _check_teacher(context, name)]


def _check_given(context: Context, teacher: Given) -> list[str]:
    labeller, facts = given.taken(context)
    lines = [f"{teacher.description[0].upper()}{teacher.description[1:]}", *facts["notes"]]
    known = given.checked_on(context)
    if known is not None:
        where, split, _ = known
        lines.append(f"It {_reached(context, labeller.ask(split.texts), split.labels, where)}")
    return [*lines, *given.coverage(context)]


def _check_teacher(context: Context, name: str) -> list[str]:
    length, is_pair = context.recipe.data.max_length, context.dataset.task.is_pair
    found = huggingface.load(context.models[name], max_length=length, is_pair=is_pair)
    lines = [_lengths(context, found.model)]
    if not found.has_head:
        says = "has no head for this task and will be fine-tuned first"
        return [f"{name} ({found.model.description}) {says}", *lines]
    taken, known = teachers.aligned(context, found.model, name), context.known()
    says = "is taken as it is: no text has a label to measure it by"
    if known is not None:
        where, split = known
        says = _reached(context, taken.said, split.labels, f"{where} texts")
    return [f"{name} ({found.model.description}) {says}", *taken.notes, *lines]


def _reached(context: Context, said: np.ndarray, labels: np.ndarray, where: str) -> str:
    """How good a teacher is on some labelled texts."""
    task = context.dataset.task
    value = float(evaluate.by_text(task, evaluate.suited(task, said, labels), labels).mean())
    metric = evaluate.PRIMARY[task.kind]
    reached = f"is right on {value:.1%} of"
    if metric != "accuracy":
        reached = f"reaches a {evaluate.TITLES[metric]} of {value:.3f} on"
    return f"{reached} {len(labels):,} {where}"


def _lengths(context: Context, model: TextModel) -> str:
    texts = context.dataset.train.texts[:_LENGTHS_OF]
    lengths = model.tokenizer.encode(texts, _NO_CUT).lengths
    cut = int((lengths > model.max_length).sum())
    middle, most = np.percentile(lengths, [50, 95]).astype(int)
    return (
        f"Tokens of {len(texts):,} train texts as it reads them: {middle} in the median, {most:,} at 95%, "
        f"{int(lengths.max()):,} at most; {cut:,} are longer than {model.max_length} and are cut"
    )
