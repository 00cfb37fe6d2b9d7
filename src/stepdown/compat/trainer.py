"""HFTrainer: fine-tunes or distils a text classifier with txtai's signature and transformers' schedule."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from stepdown import evaluate, train
from stepdown.compat import arguments, columns, models, teaching
from stepdown.compat.arguments import Arguments
from stepdown.compat.columns import Columns, Labels
from stepdown.data.dataset import Split
from stepdown.data.task import Task
from stepdown.errors import DataError, InputError
from stepdown.objectives import Objective
from stepdown.students.model import fast_precision, logits

Metrics = Callable[[Any], Mapping[str, Any]]

# Lines that an epoch, or the labelling of the texts, is told in.
_LINES = 10


class HFTrainer:
    """Trains text classifiers.

    Attributes:
        evaluation: what the last training came to on its validation texts, by metric; empty without any.
    """

    def __init__(self) -> None:
        self.evaluation: dict[str, Any] = {}

    def __call__(
        self,
        base: Any,
        train: Any,
        validation: Any = None,
        columns: Sequence[str | None] | None = None,
        maxlength: int | None = None,
        stride: int = 128,
        task: str = "text-classification",
        prefix: str | None = None,
        metrics: Metrics | None = None,
        tokenizers: int | bool | None = None,
        checkpoint: Any = None,
        quantize: Any = None,
        lora: Any = None,
        merge: str | None = "concat",
        teacher: Any = None,
        distillation: Sequence[float] | float | None = (1.0, 0.5),
        tokenizebatch: int = 1000,
        **args: Any,
    ) -> tuple[Any, Any]:
        """Train a classifier on labels, or on labels and what a teacher says.

        Args:
            base: a name, a folder or (model, tokenizer); a given model is trained in place.
            train: a list of dicts, a Dataset or a DataFrame. Whole numbers from 0 on are classes, other numbers are
                predicted as such, lists of 0 and 1 are sets of labels; with a teacher, −1 or None is no label.
            validation: the same, for `evaluation`; it changes no result.
            columns: (text, label) or (text, second text, label); by default ("text", "label").
            maxlength: most tokens of a text; by default as many as the model takes.
            metrics: is called with transformers' EvalPrediction and returns metrics by name.
            teacher: as `base`, a classifier with a trained head.
            distillation: temperature, and share of the teacher in the loss; a single number is the share, at
                temperature 1.
            args: transformers' TrainingArguments by name.
            stride, task, prefix, checkpoint, quantize, lora, merge: refused, unless they have no effect.
            tokenizers, tokenizebatch: have no effect.

        Returns:
            model and tokenizer, of transformers.

        Raises:
            InputError: arguments, data or a model cannot be used.
            WorkError: the disk or the hub fails.
        """
        refused = {"stride": stride != 128, "prefix": prefix, "checkpoint": checkpoint, "quantize": quantize}
        refused |= {
            "lora": lora,
            "merge": merge not in (None, "concat"),
            "task": task != "text-classification",
        }
        _refuse([name for name, given in refused.items() if given])
        training = prepare(
            base,
            train,
            validation,
            columns=columns,
            max_length=maxlength,
            teacher=teacher,
            distillation=distillation,
            settings=arguments.read(args),
        )
        self.evaluation = training.run(metrics)
        return training.given.classifier, training.given.tokenizer


_INSTEAD = {
    "stride": "it cuts contexts for question answering, which is not trained here; maxlength cuts a text",
    "prefix": "it is for sequence to sequence models, which are not trained here; put it before the texts",
    "checkpoint": "no checkpoints are written; `stepdown run` takes up an interrupted run",
    "quantize": "weights are trained as float32; `stepdown export --weights int8` makes them smaller",
    "lora": "all weights are trained; the students this is for are small. Leave it out",
    "merge": "it is for language models, which are not trained here",
    "task": "text-classification is trained here, and regression and sets of labels by what the labels are",
}


def _refuse(names: Sequence[str]) -> None:
    if names:
        lines = (f"  - {name}: {_INSTEAD[name]}" for name in names)
        raise InputError("\n".join(["HFTrainer does not support these arguments:", *lines]))


@dataclass(frozen=True)
class Training:
    """A training that is ready to begin.

    Attributes:
        given: the model.
        labels: of the training texts and, if there are any, of the validation texts.
        examples, objective, schedule: as `train.fit` takes them.
    """

    given: models.Given
    labels: Labels
    examples: train.Examples
    objective: Objective
    schedule: train.Schedule
    settings: Arguments
    accelerator: Accelerator
    precision: torch.dtype

    def run(self, metrics: Metrics | None = None) -> dict[str, Any]:
        """Train, measure and save; what was measured."""
        folder = self.settings.output_dir
        tell = _teller(self.settings)
        found: dict[str, Any] = {}
        every = max(1, -(-(self.schedule.most_updates or 1) // _LINES))
        for event in train.fit(
            self.given.text_model,
            self.examples,
            self.objective,
            self.schedule,
            accelerator=self.accelerator,
            precision=self.precision,
        ):
            if isinstance(event, train.Step) and event.done % every == 0:
                tell(f"update {event.done:,} of {event.total:,}: loss {event.loss:.4f}")
            if isinstance(event, train.Epoch):
                tell(f"epoch {event.done} of {event.total}: mean loss {event.loss:.4f}")
                if len(self.labels.splits) > 1 and (self.settings.every_epoch or event.done == event.total):
                    found = self._measure(metrics)
                    tell("validation: " + ", ".join(f"{name} {value}" for name, value in found.items()))
        if folder is not None:
            models.save(self.given, folder)
            tell(f"saved in {folder}")
        return found

    def _measure(self, metrics: Metrics | None) -> dict[str, Any]:
        """Metrics on the labelled validation texts: stepdown's own, and those of the script's function."""
        task, split = self.labels.task, self.labels.splits[1]
        split = split.take(np.flatnonzero(split.labels >= 0))
        model = self.given.text_model
        said = logits(model, model.encode(split.texts), precision=self.precision)
        measured = evaluate.measure(task, evaluate.Said(said), split.labels)
        found: dict[str, Any] = {name: round(metric.value, 4) for name, metric in measured.items()}
        if metrics is not None:
            from transformers import EvalPrediction

            found |= metrics(EvalPrediction(predictions=said, label_ids=_truth(task, split)))
        return found


def prepare(
    base: Any,
    train_data: Any,
    validation: Any = None,
    *,
    columns: Sequence[str | None] | None = None,
    max_length: int | None = None,
    teacher: Any = None,
    distillation: Sequence[float] | float | None = None,
    settings: Arguments,
) -> Training:
    """Read data and models, and have the teacher label the texts.

    Arguments and errors are those of `HFTrainer`.
    """
    temperature, soft_weight = _distillation(distillation)
    labels = _labels(train_data, validation, Columns.of(columns), has_teacher=bool(teacher))
    task, split = labels.task, labels.splits[0]
    _look_at_place(settings)
    tell = _teller(settings)
    accelerator = Accelerator(cpu=settings.use_cpu or not torch.cuda.is_available())
    if accelerator.num_processes > 1:
        raise InputError(
            "HFTrainer trains in one process; `torchrun -m stepdown run RECIPE` trains in several"
        )
    precision = {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "fastest": fast_precision(accelerator.device),
    }[settings.precision]
    given = models.to_train(base, task, max_length=max_length, seed=settings.seed)
    for note in given.notes:
        tell(note)
    if teacher:
        asked = models.to_ask(teacher, max_length=max_length, is_pair=task.is_pair)
        asked.network.to(accelerator.device)
        said = teaching.said(asked, split, task, precision=precision, progress=_progress(tell))
        examples = train.Examples(given.text_model.encode(split.texts), split.labels, said)
    else:
        soft_weight = 0.0
        tokens = given.text_model.encode(split.texts)
        examples = train.Examples.labelled(tokens, split.labels, len(task.label_names))
    objective = _objective(task, temperature, soft_weight)
    schedule = settings.schedule(len(split))
    return Training(given, labels, examples, objective, schedule, settings, accelerator, precision)


def _objective(task: Task, temperature: float, soft_weight: float) -> Objective:
    """(1 − w) · the loss to the labels + w · the loss to the teacher, with the losses of transformers.

    Those are cross-entropy; binary cross-entropy, of which transformers takes the mean over labels; and squared error
    of numbers as they are.
    """
    share = 1 / len(task.label_names) if task.kind == "multi-label" else 1.0
    return Objective(
        soft_weight * share,
        (1 - soft_weight) * share,
        "kl",
        temperature,
        task=task.kind,
        answers=task.answers,
    )


def _distillation(given: Sequence[float] | float | None) -> tuple[float, float]:
    """Temperature and share of the teacher.

    Raises:
        InputError: they are no such numbers.
    """
    if given is None:
        return 1.0, 0.5
    pair = (1.0, given) if isinstance(given, int | float) else tuple(given)
    if len(pair) != 2 or not pair[0] > 0 or not 0 <= pair[1] <= 1:
        raise InputError(
            f"distillation is {given!r}; expected (temperature above 0, share of the teacher from 0 to 1)"
        )
    return float(pair[0]), float(pair[1])


def _labels(train_data: Any, validation: Any, names: Columns, *, has_teacher: bool) -> Labels:
    rows = [columns.read(train_data, names)]
    if validation is not None and not (hasattr(validation, "__len__") and len(validation) == 0):
        rows.append(columns.read(validation, names))
    labels = columns.understand(*rows, is_pair=names.text2 is not None)
    unknown = int((labels.splits[0].labels < 0).sum())
    if unknown and not has_teacher:
        raise DataError(
            f"{unknown:,} of {len(rows[0]):,} texts have no label (−1 or None), and there is no teacher to learn "
            "them from. Leave them out, or name a teacher."
        )
    if len(rows) > 1 and not (labels.splits[1].labels >= 0).any():
        raise DataError("no validation text has a label; take texts that have, or leave validation out")
    return labels


def _look_at_place(settings: Arguments) -> None:
    """Where the model will be saved, before time is spent: refuse a file, warn of what will be replaced."""
    folder = settings.output_dir
    if folder is not None and folder.is_file():
        raise InputError(f"output_dir {folder} is a file; expected a folder, or a name that is free")
    if folder is not None and folder.is_dir() and any(folder.iterdir()) and not settings.overwrite:
        warnings.warn(
            f"{folder} is not empty: the model in it will be replaced by this one. Name another output_dir to keep it.",
            stacklevel=4,
        )


def _teller(settings: Arguments) -> Callable[[str], None]:
    return (lambda line: None) if settings.quiet else (lambda line: print(line, file=sys.stderr))


def _progress(tell: Callable[[str], None]) -> Callable[[int, int], None]:
    """Tells how many texts a teacher has labelled, in some lines."""
    lines = 0

    def progress(done: int, total: int) -> None:
        nonlocal lines
        if done * _LINES // total > lines:
            lines = done * _LINES // total
            tell(f"teacher: {done:,} of {total:,} texts")

    return progress


def _truth(task: Task, split: Split) -> np.ndarray:
    """Labels as transformers hands them to metrics: classes, numbers, or sets."""
    if task.kind == "single-label":
        return split.labels
    truth = task.truth(split.labels)
    return truth if task.kind == "multi-label" else truth[:, 0]
