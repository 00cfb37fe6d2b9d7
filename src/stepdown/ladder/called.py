"""A teacher that is a function of a Python program: asked in small pieces, each once, its answers kept and checked.

Answers are kept in the run's folder, by the texts and by what the function is called: nothing tells what it does, so a
function that has changed is not asked again about texts that one of that name has answered there. They are kept as they
came; whether they are probabilities or logits is told once, by the first of them, and kept as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepdown import store, targets
from stepdown.data.score_forms import ScoreForm, understood
from stepdown.data.task import Task
from stepdown.errors import DataError, ModelError
from stepdown.recipe import Scores
from stepdown.tasks import parts

# Texts of one question: so few that a slow teacher (somebody else's service, say) loses little when it is interrupted.
PIECE = 256

Scorer = Callable[[list[Any]], Any]
"""From a list of texts (of pairs, tuples) to an array of texts × labels."""


def name_of(scorer: Scorer) -> str:
    """What a function is called: by its module and name; an object by its class."""
    named = scorer if hasattr(scorer, "__qualname__") else type(scorer)
    return f"{named.__module__}.{named.__qualname__}"


class Called:
    """The teacher behind a function.

    Attributes:
        description: what it is, in a few words for people.
        digest: of what it is called.
    """

    def __init__(self, scorer: Scorer, task: Task, folder: Path, form: Scores | None = None) -> None:
        """Ask a function.

        Args:
            scorer: the function.
            task: whose outputs it gives, in the order of the labels.
            folder: where its answers are kept.
            form: what they are, where the user says it.
        """
        self.description = f"a Python function, {name_of(scorer)}"
        self.digest = store.digest(name_of(scorer), *task.label_names, task.kind, form or "")
        self._scorer, self._task, self._said = scorer, task, form
        self._folder = folder / self.digest[:16]
        self._form: ScoreForm | None = None

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """What it says of texts, as `context.Given` has it.

        Raises:
            ModelError: it fails, or what it answers is no answer.
            StoreError: the run's folder cannot be written.
        """
        pieces = [texts[start : start + PIECE] for start in range(0, len(texts), PIECE)]
        found = [self._piece(piece) for piece in pieces]
        if not found:
            return np.zeros((0, len(self._task.label_names)), np.float32)
        scores = np.concatenate(found)
        try:
            return self._understood(scores).outputs(scores, f"The teacher ({self.description})")
        except DataError as error:
            raise ModelError(str(error)) from None

    def _understood(self, scores: np.ndarray) -> ScoreForm:
        """What its scores mean, told by these where it is not known yet."""
        if self._form is None:
            path = self._folder / "form.json"
            kept = store.read_json(path)["form"] if path.exists() else None
            place = f"The teacher ({self.description})"
            self._form, _ = understood(scores, None, self._task, kept or self._said, place)
            if kept is None and self._form.form is not None:
                store.write_json(path, {"form": self._form.form})
        return self._form

    def _piece(self, texts: Sequence[str]) -> np.ndarray:
        """Its answer about some texts, float64 [n, width], kept or asked for."""
        path = self._folder / f"{store.digest(*texts)}.npy"
        return targets.kept(
            path, "answers", lambda found: len(found) == len(texts), lambda: self._asked(texts)
        )

    def _asked(self, texts: Sequence[str]) -> np.ndarray:
        given = [pair if len(pair := parts(text)) > 1 else text for text in texts]
        try:
            answer = self._scorer(given)
        except Exception as error:
            raise ModelError(
                f"The teacher ({self.description}) failed on {len(texts):,} texts, of which the first is "
                f"{_short(texts[0])}: {type(error).__name__}: {error}. What it answered before is kept: start again "
                "to go on from there."
            ) from error
        return self._checked(answer, texts)

    def _checked(self, answer: object, texts: Sequence[str]) -> np.ndarray:
        labels = self._task.label_names
        shape = f"{len(texts)} × {len(labels)}"
        expected = f"expected an array of {shape} numbers, a row for each text and a column for each label"
        if isinstance(answer, torch.Tensor):
            answer = answer.detach().float().cpu().numpy()
        try:
            scores = np.array(answer, np.float64)
        except (TypeError, ValueError):
            what = f"answered with a {type(answer).__name__} that is no array of numbers"
            raise self._wrong(what, expected) from None
        if scores.ndim == 1 and (len(labels) <= 2 and self._task.kind != "multi-label"):
            scores = scores[:, None]
        widths = {len(labels)} | ({1} if len(labels) == 2 and self._task.kind == "single-label" else set())
        if scores.ndim != 2 or len(scores) != len(texts) or scores.shape[1] not in widths:
            raise self._wrong(f"answered with an array of {' × '.join(map(str, scores.shape))}", expected)
        bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(bad):
            at = int(bad[0])
            what = f"said {scores[at].tolist()} of {len(bad):,} of {len(texts):,} texts, such as {_short(texts[at])}"
            raise self._wrong(what, "expected a finite number for each label")
        return scores

    def _wrong(self, what: str, expected: str) -> ModelError:
        labels = ", ".join(self._task.label_names[:8])
        return ModelError(f"The teacher ({self.description}) {what}; {expected} ({labels}).")


def _short(text: str) -> str:
    shown = repr(" | ".join(parts(text)))
    return shown if len(shown) <= 60 else f"{shown[:57]}…'"
