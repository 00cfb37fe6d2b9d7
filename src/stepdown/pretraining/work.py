"""Pretrains a student from its recipe, or takes up where an earlier sitting stopped.

The weights that are kept are the last ones: the rate has fallen to 0 by then, and what is measured on the held-out
texts stays unbiased, since nothing is chosen by it. Where it has risen before the end, the summary says so.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from stepdown import __version__, assets, recipe, report, store
from stepdown.errors import InputError
from stepdown.pretraining import checkpoints, corpus, sequences
from stepdown.pretraining.corpus import CorpusFacts
from stepdown.pretraining.fit import Learner, Schedule, Update, fit, learner, per_epoch
from stepdown.pretraining.masking import Masking, masking_for
from stepdown.pretraining.measure import measure
from stepdown.pretraining.record import Point, Record, notes
from stepdown.pretraining.sequences import Sequences
from stepdown.pretraining.student import Student, student_for
from stepdown.recipe import PretrainRecipe

CHECKPOINTS = "checkpoints"
"""Folder of the checkpoints in that of a pretraining."""

# Lost at most when the power fails; writing takes less than a second.
_CHECKPOINT_SECONDS = 120.0
# Held-out sequences that are measured on: enough for half a point of accuracy, few beside what is learnt from.
_MOST_MEASURED = 4000


@dataclass(frozen=True)
class Resumed:
    """An earlier sitting had done `done` of `total` updates."""

    done: int
    total: int


Happening = Resumed | Update | Point


@dataclass(frozen=True)
class Context:
    """All that a pretraining is made from.

    Attributes:
        recipe: as it was read.
        out: the folder.
        student: what is pretrained.
        train: what is learnt from.
        held_out: what is measured on.
        facts: of the text.
        masking: how pieces are hidden.
        schedule: how the weights move.
        device: where.
        inputs: what the result depends on, by name, as digests: two pretrainings with the same ones are the same.
    """

    recipe: PretrainRecipe
    out: Path
    student: Student
    train: Sequences
    held_out: Sequences
    facts: CorpusFacts
    masking: Masking
    schedule: Schedule
    device: torch.device
    inputs: dict[str, str]

    @property
    def key(self) -> str:
        """Digest of all inputs."""
        return store.digest(*(f"{name} {value}" for name, value in sorted(self.inputs.items())))

    @property
    def per_epoch(self) -> int:
        """Updates of one pass over the text."""
        return per_epoch(len(self.train), self.schedule.batch_size)

    def learner(self) -> Learner:
        """A fresh student with its optimizer."""
        network = self.student.build(dropout=self.recipe.training.dropout, seed=self.recipe.seed)
        return learner(network.to(self.device), self.schedule)


def open_pretraining(
    chosen: PretrainRecipe,
    out: Path,
    fetching: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Context:
    """Read the text, and the vocabulary or make one of it; `out` is not written yet.

    Args:
        chosen: the recipe.
        out: the folder for what is made.
        fetching: called with (name, bytes done, bytes in all) while a built-in is downloaded.

    Raises:
        InputError: what the recipe names is missing or unusable.
        HubError: a hub or package index did not deliver.
        StoreError: the disk of the cache is full or fails.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("stepdown pretrain works in one process. Start it without torchrun.")
    training = chosen.training
    student_of = student_for(chosen.model, fetching)
    for source in chosen.text.unlabeled:
        if assets.is_builtin(source):
            assets.data(source, partial(fetching, source))
    texts = corpus.gather(chosen.text, training.validation_fraction, chosen.seed)
    student = student_of(texts.train)
    train = sequences.read(student.tokenizer, texts.train.chunks(), training.max_length)
    held_out = sequences.read(student.tokenizer, [texts.held_out], training.max_length).first(_MOST_MEASURED)
    for found, what in ((train, "learn from"), (held_out, "measure on")):
        if not len(found):
            raise InputError(
                f"None of the texts to {what} has {sequences.FEWEST} word pieces that the vocabulary "
                f"{'of ' + chosen.model.vocabulary if chosen.model.vocabulary else 'of these texts'} knows: there is "
                "nothing to tell a hidden piece by. Name longer text, or a vocabulary of its language."
            )
    updates = training.steps or (training.epochs or 1) * per_epoch(len(train), training.batch_size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Context(
        chosen,
        out,
        student,
        train,
        held_out,
        texts.facts,
        masking_for(student.tokenizer, training.mask_share),
        Schedule(
            updates,
            training.batch_size,
            training.learning_rate,
            training.warmup,
            training.weight_decay,
            chosen.seed,
        ),
        device,
        {
            "recipe": store.digest(repr((chosen.seed, student.sizes, training))),
            "text": store.digest(*texts.train.digests, *texts.held_out),
            "vocabulary": student.digest,
            "versions": store.digest(__version__, torch.__version__, device.type),
        },
    )


def finished(context: Context) -> dict[str, Any] | None:
    """The content of `pretraining.json` of a pretraining that is done; None if anything is left to do."""
    path = context.out / "pretraining.json"
    if store.finished(context.out / "model", context.key) is None or not path.exists():
        return None
    told: dict[str, Any] = store.read_json(path)
    return told if told["finished"] else None


def work_through(
    context: Context, tell: Callable[[Happening], None] = lambda happening: None
) -> dict[str, Any]:
    """Pretrain the student, under the folder's lock.

    Interrupted at any point and started again, it goes on from its last checkpoint, at most two minutes before, and
    ends with the weights of an undisturbed run: to the last bit on one processor with one number of threads, while a
    graphics card may round otherwise each time.

    Args:
        tell: is called with everything that happens.

    Returns:
        The content of pretraining.json.

    Raises:
        InputError: the folder holds a pretraining from other inputs.
        StoreError: another process works in the folder, or the disk fails.
    """
    out = context.out
    with store.lock(out / ".lock", f"another pretraining works in {out}", wait=False):
        _refuse_other_inputs(context)
        if finished(context) is None:
            store.sweep(out)
            store.write_json(out / "inputs.json", context.inputs)
            store.write_text(out / "recipe.toml", recipe.dump(context.recipe))
            with store.append(out / "log.jsonl") as log:
                _train(context, partial(_tell, tell, log))
        shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
        return dict(store.read_json(out / "pretraining.json"))


def _train(context: Context, tell: Callable[[Happening], None]) -> None:
    out, schedule, kept = context.out, context.schedule, context.out / CHECKPOINTS
    student, record = context.learner(), Record()
    found = checkpoints.restore(kept, context.key, student)
    if found is None:
        context.student.begin(student.network)
    else:
        record = Record(**found)
        tell(Resumed(student.done, schedule.updates))
    before, started = record.seconds, time.perf_counter()
    saved = started
    due = _points(schedule.updates, context.recipe.training.evaluations)
    if not record.points:
        _measure(context, student, record, tell)
    for update in fit(student, context.train.tokens, context.masking, schedule):
        record.add(update)
        tell(update)
        now = time.perf_counter()
        record.seconds = before + now - started
        if update.done in due:
            _measure(context, student, record, tell)
        if update.done in due or now - saved > _CHECKPOINT_SECONDS:
            checkpoints.save(kept, context.key, student, vars(record))
            saved = time.perf_counter()
    with store.write_folder(out / "model") as unfinished:
        context.student.save(student.network, context.recipe.training.max_length, unfinished)
        store.finish(unfinished, {"key": context.key})
    _write(context, student, record)


def _measure(context: Context, student: Learner, record: Record, tell: Callable[[Happening], None]) -> None:
    """Add a point to the curve, and show the curve so far in the folder."""
    rate = context.schedule.rate(student.done - 1) if student.done else 0.0
    point = Point(
        student.done,
        context.schedule.updates,
        student.done / context.per_epoch,
        rate,
        record.train_loss,
        measure(student.network, context.held_out, context.masking, context.schedule.seed),
        record.seconds,
    )
    record.close(point)
    _write(context, student, record)
    tell(point)


def _write(context: Context, student: Learner, record: Record) -> None:
    out, model = context.out, context.out / "model"
    is_done = store.finished(model, context.key) is not None
    store.write_text(out / "curve.svg", report.loss_curve(record.points))
    store.write_json(
        out / "pretraining.json",
        {
            "schema": 1,
            "finished": is_done,
            "recipe": context.recipe.model_dump(exclude_none=True),
            "environment": _environment(context),
            "text": context.facts.as_dict(),
            "sequences": {
                "train": len(context.train),
                "held_out": len(context.held_out),
                "pieces": int(context.train.tokens.offsets[-1]),
                "left_out": context.train.left_out + context.held_out.left_out,
            },
            "student": {
                "model": student.network.describe(),
                "parameters": student.network.size,
            },
            "updates": context.schedule.updates,
            "updates_per_epoch": context.per_epoch,
            "curve": record.points,
            "notes": notes(record.points),
            "seconds": record.seconds,
            "model": str(model.absolute()) if is_done else None,  # a recipe elsewhere may name it
        },
    )


def _points(updates: int, evaluations: int) -> frozenset[int]:
    """After which updates the student is measured: evenly spaced, the last one among them."""
    return frozenset(max(1, round(updates * number / evaluations)) for number in range(1, evaluations + 1))


def _refuse_other_inputs(context: Context) -> None:
    """A folder that holds hours of another pretraining, or a run, is left as it is."""
    path, out = context.out / "inputs.json", context.out
    if (out / "cells").exists():
        raise InputError(f"{out} holds a run of `stepdown run`. Name another folder with --out.")
    if not path.exists() or not ((out / "model").exists() or any((out / CHECKPOINTS).glob("update-*"))):
        return
    known = store.read_json(path)
    changed = [name for name, value in context.inputs.items() if known.get(name) != value]
    if changed:
        what = {
            "recipe": "[model], [training] or seed",
            "versions": "the version of stepdown or torch, or the device",
        }
        raise InputError(
            f"{context.out} holds a pretraining from other inputs; changed since: "
            f"{', '.join(what.get(name, name) for name in changed)}. Name another folder with --out, or remove this "
            "one to begin anew."
        )


def _tell(
    tell: Callable[[Happening], None], log: Callable[[dict[str, Any]], None], happening: Happening
) -> None:
    """Pass a happening on, and keep it in the log: all but single updates, of which there are too many."""
    tell(happening)
    if isinstance(happening, Resumed):
        log({"event": "resumed", **vars(happening)})
    elif isinstance(happening, Point):
        log({"event": "point", **happening.as_dict()})


def _environment(context: Context) -> dict[str, Any]:
    return {
        "stepdown": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(context.device),
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in ("torch", "transformers", "numpy")},
    }
