"""The schema of results.json, and reports made from it alone."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from html.parser import HTMLParser
from importlib import resources
from itertools import combinations
from typing import Any, Literal

import jsonschema
import numpy as np
import pytest

from stepdown import report, results
from stepdown.compare import Pair, compare, mean_interval
from stepdown.data.facts import Conflicts, Facts, Lengths, Overlap, Removed, SplitFacts
from stepdown.errors import InputError
from stepdown.evaluate import Metric, measure
from stepdown.report import content, plot
from stepdown.report.markdown import escape
from stepdown.report.terminal import _width
from stepdown.results import Arm, Cell, Data, Environment, Results, Summary

ARMS: tuple[Arm, ...] = ("direct", "one-hop", "chain", "dense")
HOSTILE = "<script src=//x.example>alert(1)</script>|`*_[a](javascript:b)\x1b[31m\n&\"'"


def a_run(
    n: int = 400,
    label_names: tuple[str, ...] = ("negative", "positive"),
    seeds: int = 3,
    arms: tuple[Arm, ...] = ARMS,
    above: tuple[str, ...] = ("6-layer MiniLM, first 3 layers", "bidirectional GRU, 40K words"),
    name: str = "movies",
    timed: bool = True,
) -> dict[str, Any]:
    """The results of a made-up run, through the same functions as those of a real one."""
    rng = np.random.default_rng(0)
    classes = len(label_names)
    labels = rng.integers(0, classes, n)
    hardness = rng.normal(size=(n, classes))

    def logits(skill: float) -> np.ndarray:
        scores = hardness + 0.4 * rng.normal(size=(n, classes))
        scores[np.arange(n), labels] += skill
        return scores.astype(np.float32)

    given = logits(2.4)
    cells: list[dict[str, Any]] = []
    correct, agreed = {}, {}

    def add(position: int, model: str, arm: Arm | None, seed: int, params: int) -> None:
        scores = given if position == 0 else logits(2.4 - 0.3 * position - 0.2 * (arm == "direct"))
        metrics = measure(scores, labels, given if position else None)
        if timed:
            metrics["ms_per_text"] = Metric(params / 1e6, params / 1.1e6, params / 0.9e6, 20)
        kind: Literal["teacher", "rung"] = "rung" if position else "teacher"
        key = f"rung{position}-{arm}-seed{seed}" if position else kind
        found = Cell(key, kind, position, model, arm, seed, params, 4 * params, 60.0, metrics, metrics)
        cells.append(asdict(found))
        correct[key] = scores.argmax(1) == labels
        agreed[key] = scores.argmax(1) == given.argmax(1)

    add(0, "6-layer MiniLM, 384 wide", None, 0, 22_713_216)
    for seed in range(seeds):
        for position, model in enumerate(above, start=1):
            for arm in (None,) if position == 1 else tuple(a for a in arms if a in ("chain", "dense")):
                add(position, model, arm, seed, 11_000_000 // position**3)
        for arm in arms:
            add(len(above) + 1, "bidirectional GRU, 20K words", arm, seed, 249_312)
    last = [np.stack([correct[f"rung{len(above) + 1}-{arm}-seed{s}"] for s in range(seeds)]) for arm in arms]
    pairs = [Pair("arm", arms[i], arms[j], last[i], last[j]) for i, j in combinations(range(len(arms)), 2)]
    pairs.append(Pair("rung", "teacher", f"rung {len(above) + 1}", correct["teacher"][None], last[-1]))
    student = cells[-1]
    rows = results.table(cells, correct, agreed)
    made = Results(
        schema=1,
        recipe={"name": name, "compare": {"arms": list(arms), "seeds": seeds}},
        environment=Environment("0.1.0", "3.11.7", "Linux x86_64", "cpu", "float32", 2, {"torch": "2.9"}),
        data=Data("single-label", label_names, 8000, 1000, n, 12_000, facts(label_names), 84),
        cells=(),
        rungs=(),
        comparisons=tuple(compare(pairs)),
        summary=Summary(
            bundle_cell=student["id"],
            accuracy=Metric(**student["metrics"]["accuracy"]),
            mean_accuracy_over_seeds=rows[-1]["metrics"]["accuracy"]["value"],
            times_smaller=rows[-1]["times_smaller"],
            times_faster=rows[-1]["times_faster"],
            accuracy_kept=rows[-1]["accuracy_kept"],
            processor_hours=1.5,
            processor_hours_per_million_texts=0.07 if timed else None,
        ),
        coincide={} if above else {"one-hop": "chain", "dense": "chain"},
        bundle="runs/movies/bundle",
    )
    return {**results.to_dict(made), "cells": cells, "rungs": rows}


def facts(label_names: tuple[str, ...]) -> Facts:
    """What was found in made-up data."""
    one = SplitFacts(400, dict.fromkeys(label_names, 200), Lengths(12, 30, 60), "cut from train, 10%")
    return Facts(
        "movies.csv",
        "text",
        "label",
        "single-label",
        label_names,
        {"report": one},
        0,
        0,
        Removed(equal=2, overlapping=5),
        Conflicts(0, 0, ()),
        (Overlap("train", "report", 3, 4, 400),),
        ("Labels were sorted by name.",),
    )


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    return a_run()
