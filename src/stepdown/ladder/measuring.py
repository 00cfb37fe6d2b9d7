"""Measures what a cell made, on both splits, and keeps it in the cell's folder."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepdown import evaluate, store
from stepdown.ladder import finished
from stepdown.ladder.context import HELD_OUT, Context, HeldOut
from stepdown.ladder.given import GivenLabeller
from stepdown.ladder.plan import TEACHER, Cell
from stepdown.students import saved
from stepdown.students.model import TextModel, logits

# Texts for timing: enough for a steady figure, few enough that even a large teacher takes seconds.
_TIMED_TEXTS = 256
_TIMED_ROUNDS = 3


def keep(context: Context, cell: Cell, model: TextModel, folder: Path) -> dict[str, Any]:
    """Save and measure a model; facts for its manifest."""
    saved.save(model, folder)
    size = saved.size(folder)
    measured = _measure(context, cell, partial(finished.ask, context, model), folder)
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


def keep_mean(context: Context, cell: Cell, folder: Path) -> dict[str, Any]:
    """Measure the mean of several teachers, which is as large and as slow as all of them together."""
    members = [context.manifests[name] for name in cell.teachers]
    measured = _measure(context, cell, partial(finished.outputs_of_mean, context, cell), folder)
    timings = [member["metrics"]["ms_per_text"] for member in members]
    timing = {key: sum(one[key] for one in timings) for key in ("value", "low", "high")}
    measured["metrics"]["ms_per_text"] = {**timing, "n": timings[0]["n"]}
    summed = ("parameters", "bytes", "processor_ms_per_text")
    return {
        "model": mean_of(cell),
        **{key: sum(member[key] for member in members) for key in summed},
        **measured,
    }


def keep_given(context: Context, cell: Cell, labeller: GivenLabeller, folder: Path) -> dict[str, Any]:
    """Measure a teacher that is no model: it has no parameters, and nobody knows how long it takes."""
    assert context.given is not None, "the teacher is a model"
    return {
        "model": context.given.description,
        "parameters": 0,
        "bytes": 0,
        **_measure(context, cell, partial(finished.ask_given, context, labeller), folder),
        "processor_ms_per_text": 0.0,
    }


def _measure(
    context: Context, cell: Cell, ask: Callable[[HeldOut], np.ndarray | None], folder: Path
) -> dict[str, Any]:
    """Metrics on both splits, of which `ask` gives the outputs, None where there are none; they are kept in the folder.

    The calibration is fitted on the selection split, and both are measured with it.
    """
    result: dict[str, Any] = {}
    task = context.dataset.task
    fit = evaluate.Fit(evaluate.UNCALIBRATED, "It said nothing of the selection texts.")
    for split in HELD_OUT:
        name = "metrics" if split == "report" else "selection_metrics"
        outputs_of_it, labels = ask(split), context.labels(split)
        if outputs_of_it is None:
            result[name] = {}
            continue
        store.save_array(folder / f"{split}.npy", outputs_of_it)
        above = finished.said(context, TEACHER, split) if cell.position else None
        if split == "selection" and labels is not None:
            fit = evaluate.calibrate(task, outputs_of_it, labels)
        elif split == "selection":
            fit = evaluate.calibrate_to_teacher(task, outputs_of_it, above)
        found = evaluate.measure(task, evaluate.Said(outputs_of_it, fit.calibration), labels, above)
        result[name] = {key: dataclasses.asdict(metric) for key, metric in found.items()}
        if split == "report" and labels is not None and task.kind == "single-label":
            answered = evaluate.answered(outputs_of_it, labels, fit.calibration)
            result["abstaining"] = [dataclasses.asdict(one) for one in answered]
    if task.kind != "regression":
        result["calibration"] = dataclasses.asdict(fit.calibration)
        result["calibration_note"] = fit.reason
    return result


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
