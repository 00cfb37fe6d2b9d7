"""What all cells of a run work with: the data, the texts to learn from, the folder, the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from accelerate import Accelerator

from stepdown import evaluate, store, train
from stepdown.assets import Versions
from stepdown.data.dataset import Dataset, Split
from stepdown.evaluate import Ints, MetricName
from stepdown.ladder.plan import TEACHER, Cell, Plan
from stepdown.recipe import Recipe, RungSettings
from stepdown.students.model import TextModel
from stepdown.transfer import Transfer


@dataclass(frozen=True)
class Begun:
    """A cell starts, or turns out to be finished already."""

    cell: str
    description: str
    finished_before: bool


@dataclass(frozen=True)
class Ended:
    """A cell is finished, with its primary metric on the report split; None where nothing is known of it there."""

    cell: str
    seconds: float
    metric: str
    value: float | None


@dataclass(frozen=True)
class Trained:
    """A training event within a cell."""

    cell: str
    event: train.Event


@dataclass(frozen=True)
class Labelled:
    """Texts that a teacher has labelled, `done` of `total`."""

    cell: str
    done: int
    total: int


Happening = Begun | Ended | Trained | Labelled


def as_json(happening: Happening) -> dict[str, Any]:
    """A happening as a line of `log.jsonl` has it: what, in which cell, and its own facts."""
    event = happening.event if isinstance(happening, Trained) else happening
    return {"event": type(event).__name__.lower(), "cell": happening.cell, **dataclasses.asdict(event)}


class Given(Protocol):
    """A teacher that is no model: ready soft labels, or a function of a Python program."""

    @property
    def description(self) -> str:
        """What it is, in a few words for people."""

    @property
    def digest(self) -> str:
        """Of what its answers depend on beside the texts, as far as that can be known."""

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """What it says of texts: logits, float32 [n, classes], or numbers, [n, 1]; NaN where it says nothing."""


HeldOut = Literal["selection", "report"]
HELD_OUT: tuple[HeldOut, ...] = ("selection", "report")


@dataclass
class Context:
    """The state of one run.

    Attributes:
        transfer: all texts to learn from.
        models: folder of every model that the recipe takes from somewhere, by its name there: looked up once, so that
            a hub cannot change a model in the middle of a run.
        versions: commits of the hub's repositories, of models and of data sets.
        data_key: digest of the texts and labels of all splits.
        given: the teacher, where it is no model.
        trained: models of finished cells that are still needed, by cell id.
        manifests: of finished cells, by cell id.
        tell: is called with everything that happens.
    """

    recipe: Recipe
    plan: Plan
    out: Path
    dataset: Dataset
    transfer: Transfer
    models: Mapping[str, Path]
    data_key: str
    accelerator: Accelerator
    precision: torch.dtype
    versions: Versions = field(default_factory=Versions)
    given: Given | None = None
    tell: Callable[[Happening], None] = lambda happening: None
    trained: dict[str, TextModel] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def metric(self) -> MetricName:
        """The primary metric, on the report split."""
        return self.metric_on("report")

    def metric_on(self, split: HeldOut) -> MetricName:
        """The primary metric on a split: of the task, or where it has no labels, of likeness to the teacher."""
        return evaluate.primary(self.dataset.task.kind, labelled=self.split(split).is_labelled)

    def split(self, name: HeldOut) -> Split:
        """One of the splits that are held out."""
        return self.dataset.selection if name == "selection" else self.dataset.report

    def labels(self, name: HeldOut) -> Ints | None:
        """The labels of a held-out split; None where nobody knows them."""
        return self.split(name).labels if self.split(name).is_labelled else None

    def known(self) -> tuple[HeldOut, Split] | None:
        """The labelled texts on which teachers are matched with the labels and checked, and their split.

        Those of selection; where it was cut from texts without labels, those of report. None where there are none.
        """
        return next(((name, self.split(name)) for name in HELD_OUT if self.split(name).is_labelled), None)

    def seed(self, cell: Cell) -> int:
        """Seed of a cell: the same in every arm, so that arms differ in what they learn from and nothing else."""
        return self.recipe.seed * 1000 + cell.seed

    def settings(self, cell: Cell) -> RungSettings:
        """How a rung is trained. One that has the labels alone makes no last passes over them: it makes no others."""
        settings = self.recipe.resolved_rung(cell.position - 1)
        if not cell.teachers or not settings.gold_epochs:
            settings = dataclasses.replace(settings, gold_epochs=0, gold_learning_rate=0.0)
        # Hints come from the teacher: who does not learn from it, as in a chain, has none.
        if TEACHER not in cell.teachers:
            settings = dataclasses.replace(settings, hint_weight=0.0)
        return settings

    def max_length(self, cell: Cell) -> int:
        """To how many tokens a cell's model cuts texts."""
        return self.settings(cell).max_length if cell.position else self.recipe.data.max_length

    def folder(self, cell: Cell) -> Path:
        """Where a cell keeps what it made."""
        return self.out / "cells" / cell.id

    def precision_of(self, model: TextModel) -> torch.dtype:
        """Transformers gain from bfloat16; a student built to a budget is too small to."""
        return self.precision if model.kind == "huggingface" else torch.float32


def data_key(dataset: Dataset) -> str:
    """Digest of the data: what a teacher is fine-tuned on, and what every cell is measured on."""
    return store.digest(
        dataset.task.kind,
        *dataset.task.label_names,
        *((dataset.task.answers,) if dataset.task.kind != "single-label" else ()),
        *dataset.train.texts,
        dataset.train.labels,
        *dataset.selection.texts,
        dataset.selection.labels,
        *dataset.report.texts,
        dataset.report.labels,
    )
