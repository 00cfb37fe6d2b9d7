"""What a finished run found: the content of results.json, and which cell becomes the bundle."""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepdown import __version__, assets, compare, evaluate
from stepdown.ladder.context import HELD_OUT, Context
from stepdown.ladder.finished import folder_digest, said
from stepdown.ladder.plan import TEACHER, Arm, Cell
from stepdown.results import table

# Arms by how many rungs they need: of equals, the one that is cheaper to train again is kept.
_CHEAPEST_FIRST: tuple[Arm, ...] = ("direct", "one-hop", "chain", "dense")


def results(context: Context) -> dict[str, Any]:
    """The content of results.json; every cell of the plan must be finished."""
    chosen = best(context)
    cells = [_cell(context, cell) for cell in _told(context)]
    members = [_cell(context, cell) for cell in context.plan.cells if cell.is_member]
    rows = table(cells, *_by_text(context), metric=context.metric)
    return {
        "schema": 1,
        "recipe": context.recipe.model_dump(mode="json"),
        "environment": _environment(context),
        "data": _data(context),
        "cells": cells,
        "members": members,
        "rungs": rows,
        "comparisons": [dataclasses.asdict(found) for found in comparisons(context)],
        "coincide": dict(context.plan.coincide),
        "summary": _summary(context, chosen, rows),
        "metric": context.metric,
        "selection_metric": context.metric_on("selection"),
    }


def _told(context: Context) -> list[Cell]:
    """The cells that are told of as rungs of the ladder: of several teachers only their mean."""
    return [cell for cell in context.plan.cells if not cell.is_member]


def best(context: Context) -> Cell:
    """The student that becomes the bundle: best primary metric on the selection split, among all arms and seeds.

    Of equals, the one whose arm needs fewer rungs, then the lower seed. The report split has no say.
    """
    students = [cell for cell in context.plan.cells if cell.position == context.plan.last]

    def merit(cell: Cell) -> tuple[float, int, int]:
        assert cell.arm is not None
        value = context.manifests[cell.id]["selection_metrics"][context.metric_on("selection")]["value"]
        return -value, _CHEAPEST_FIRST.index(cell.arm), cell.seed

    return min(students, key=merit)


def comparisons(context: Context) -> list[compare.Comparison]:
    """Every pair of arms, and every rung of the ladder and the packed student against the teacher: one family.

    The teacher is left out where nothing is known of it: it said nothing of the report split, or is itself what the
    others are measured by.
    """
    by_text = _by_text(context)[0]

    def values(cells: list[Cell]) -> np.ndarray:
        return np.stack([by_text[cell.id] for cell in sorted(cells, key=lambda cell: cell.seed)])

    groups: dict[tuple[int, Arm | None], list[Cell]] = {}
    for cell in _told(context):
        groups.setdefault((cell.position, cell.arm), []).append(cell)
    last = context.plan.last
    arms = sorted(
        (arm for position, arm in groups if position == last and arm is not None), key=_CHEAPEST_FIRST.index
    )
    pairs = [
        compare.Pair("arm", a, b, values(groups[last, a]), values(groups[last, b]))
        for a, b in combinations(arms, 2)
    ]
    if TEACHER not in by_text:
        return compare.compare(pairs, context.metric)
    above = values(groups[0, None])
    drawn, packed = _main_arm(arms), best(context).arm
    for (position, arm), cells in groups.items():
        if position > 0 and (arm in (None, drawn) or (position == last and arm == packed)):
            name = f"rung {position}" + (f" ({arm})" if arm else "")
            pairs.append(compare.Pair("rung", TEACHER, name, above, values(cells)))
    return compare.compare(pairs, context.metric)


def _main_arm(arms: list[Arm]) -> Arm:
    """The arm that stands for the ladder where one line is drawn through its rungs."""
    return next((arm for arm in ("chain", "dense", "one-hop") if arm in arms), arms[0])


def _by_text(context: Context) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What each report text adds to each cell's primary metric, and whether its answer is the teacher's."""
    task, labels = context.dataset.task, context.labels("report")
    found = {cell.id: said(context, cell.id, "report") for cell in _told(context)}
    answers = {name: one for name, one in found.items() if one is not None}
    top = answers.get(TEACHER)
    values = {
        name: evaluate.by_text(task, one, labels, top)
        for name, one in answers.items()
        if labels is not None or name != TEACHER
    }
    agreed = {
        name: same
        for name, one in answers.items()
        if top is not None and name != TEACHER and (same := evaluate.agreed(task, one, top)) is not None
    }
    return values, agreed


def _cell(context: Context, cell: Cell) -> dict[str, Any]:
    manifest = context.manifests[cell.id]
    keys = ("model", "parameters", "bytes", "seconds", "metrics", "selection_metrics")
    facts = {{"parameters": "params"}.get(key, key): manifest[key] for key in keys}
    if cell.is_mean:
        facts["seconds"] += sum(context.manifests[name]["seconds"] for name in cell.teachers)
    return {
        "id": cell.id,
        "kind": cell.kind,
        "position": cell.position,
        "arm": cell.arm,
        "seed": cell.seed,
        "teachers": list(cell.teachers) if cell.position else [],
        **{key: manifest.get(key) for key in ("spent", "calibration", "calibration_note")},
        **{key: manifest.get(key, []) for key in ("abstaining", "notes")},
        **facts,
    }


def _data(context: Context) -> dict[str, Any]:
    dataset = context.dataset
    return {
        "task": dataset.task.kind,
        "label_names": list(dataset.task.label_names),
        "labelled": int((dataset.train.labels >= 0).sum()),
        "judged_by": {name: "labels" if context.split(name).is_labelled else "teacher" for name in HELD_OUT},
        "train": len(dataset.train.texts),
        "selection": len(dataset.selection.texts),
        "report": len(dataset.report.texts),
        "transfer": len(context.transfer),
        "facts": dataset.facts.as_dict(),
        "transfer_facts": context.transfer.facts.as_dict(),
    }


def _environment(context: Context) -> dict[str, Any]:
    packages = ("torch", "transformers", "accelerate", "numpy", "onnxruntime", "tokenizers")
    return {
        "stepdown": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(context.accelerator.device),
        "precision": str(context.precision).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in packages},
        "models": {name: _identity(folder) for name, folder in context.models.items()},
        "data": context.versions.of("dataset"),
    }


def _identity(folder: Path) -> str:
    """The commit of a model in the hub's cache, where a folder is named by it; else a digest of its files."""
    return folder.name if assets.hub_name(folder) else folder_digest(folder)[:16]


def _summary(context: Context, chosen: Cell, rows: list[dict[str, Any]]) -> dict[str, Any]:
    student = context.manifests[chosen.id]
    row = next(row for row in rows if (row["position"], row["arm"]) == (chosen.position, chosen.arm))
    hours = sum(manifest["processor_seconds"] for manifest in context.manifests.values()) / 3600
    return {
        "bundle_cell": chosen.id,
        "accuracy": student["metrics"][context.metric],
        "mean_accuracy_over_seeds": row["metrics"][context.metric]["value"],
        **{key: row[key] for key in ("times_smaller", "times_faster", "accuracy_kept")},
        "processor_hours": hours,
        # A millisecond per text is 1,000 seconds per million.
        "processor_hours_per_million_texts": student["processor_ms_per_text"] / 3.6,
    }
