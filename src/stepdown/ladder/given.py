"""A teacher that is no model: checked against what labels there are, and asked by the rungs as any other.

It has no layers, no words and no middle states. Students built to a budget, which take their first embeddings from the
teacher, take them from `demo:minilm-l6` if that is in the cache (nothing is fetched that nobody named), else at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepdown import assets, store, teacher
from stepdown.data.dataset import Split
from stepdown.errors import InputError
from stepdown.ladder import teachers
from stepdown.ladder.context import HELD_OUT, Context, Given
from stepdown.ladder.plan import TEACHER
from stepdown.students import huggingface
from stepdown.students.model import TextModel

INITIAL = "demo:minilm-l6"
"""The encoder whose words lend their vectors to students of a teacher without any."""


CHECKED = 2048
"""Texts of train that stand for all of them, where the teacher says nothing of those that are held out."""

Line = tuple[float, float]
"""Slope and intercept, by which numbers come into the data's unit."""


@dataclass(frozen=True)
class GivenLabeller:
    """The teacher as rungs ask it.

    Attributes:
        given: answers.
        line: of its numbers; None where they are in the data's unit, or no numbers.
    """

    given: Given
    line: Line | None

    def key(self, chunk_digest: str) -> str:
        """Of what it says of a chunk of texts with that digest."""
        return store.digest(self.given.digest, repr(self.line), chunk_digest)

    def ask(self, texts: Sequence[str], chunk_digest: str = "") -> np.ndarray:
        """What it says of texts, as `Given.of`, in the data's unit."""
        said = self.given.of(texts)
        if self.line is None:
            return said
        return (self.line[0] * said + self.line[1]).astype(np.float32)


def labeller(context: Context) -> GivenLabeller:
    """The teacher as rungs ask it; its cell must be finished."""
    assert context.given is not None, "the teacher is a model"
    line = context.manifests[TEACHER].get("line")
    return GivenLabeller(context.given, tuple(line) if line else None)


def taken(context: Context) -> tuple[GivenLabeller, dict[str, Any]]:
    """The teacher, and facts for its manifest.

    Raises:
        ModelError: it does not know the task.
    """
    assert context.given is not None, "the teacher is a model"
    found = GivenLabeller(context.given, None)
    notes: list[str] = []
    known = checked_on(context)
    task = context.dataset.task
    if known is not None:
        where, split, said = known
        if task.kind == "regression":
            line = teacher.line_to_unit(said[:, 0], task.truth(split.labels)[:, 0])
            if line is not None:
                found = GivenLabeller(context.given, line)
                notes.append(teacher.told_line(line, where))
                said = found.ask(split.texts)
        teachers.require_knowledge(
            task,
            said,
            split.labels,
            where,
            "Check the label column, and which score is of which label: they are matched by name, or in the order of "
            "the labels.",
        )
    initial = INITIAL if assets.cached(INITIAL) else None
    return found, {"fine_tuned": False, "line": found.line, "initial": initial, "notes": notes}


def checked_on(context: Context) -> tuple[str, Split, np.ndarray] | None:
    """Labelled texts of which the teacher says something, for people where they are, and what it says.

    Those of selection, else of train, else of report; None where there are none.
    """
    assert context.given is not None, "the teacher is a model"
    dataset = context.dataset
    some = dataset.train.take(np.arange(min(CHECKED, len(dataset.train))))
    for where, split in (("selection", dataset.selection), ("train", some), ("report", dataset.report)):
        if split.is_labelled:
            said = context.given.of(split.texts)
            if not np.isnan(said).any():
                return f"{where} texts", split, said
    return None


def coverage(context: Context) -> list[str]:
    """Of which held-out texts the teacher says nothing, in plain lines."""
    assert context.given is not None, "the teacher is a model"
    lines = []
    for name in HELD_OUT:
        texts = context.split(name).texts
        missing = int(np.isnan(context.given.of(texts)).any(axis=1).sum())
        if missing:
            how_many = "any" if missing == len(texts) else f"{missing:,}"
            lines.append(
                f"It says nothing of {how_many} of the {len(texts):,} {name} texts, so it is not measured there"
            )
    return lines


def initial_of(context: Context) -> str | None:
    """Whose words lend their vectors to students built to a budget: as the run began, else as it would begin."""
    begun = context.manifests.get(TEACHER)
    if begun is not None:
        return begun.get("initial")
    return INITIAL if assets.cached(INITIAL) else None


def told_initial(context: Context) -> str:
    """Where the embeddings of students built to a budget begin, in a plain line."""
    how = initial_of(context)
    where = f"from {how}" if how else f"at random, as {INITIAL} is not in the cache"
    return f"The teacher has no words of its own: embeddings begin {where}"


def encoder(context: Context) -> TextModel | None:
    """The encoder that lends its words' vectors; None where embeddings begin at random.

    Raises:
        InputError: the run began with one that is no longer in the cache.
    """
    name = initial_of(context)
    if name is None:
        return None
    folder = assets.cached(name)
    if folder is None:
        raise InputError(
            f"This run began with embeddings from {name}, which is no longer in the cache, so it cannot go on as it "
            "began. Fetch it again (`stepdown check demo` does), or name another folder with --out."
        )
    return huggingface.load(folder, max_length=context.recipe.data.max_length).model
