"""A cell of a run becomes a bundle, whatever its task: thresholds, pairs, and texts to check it on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from test_report import a_run, facts

from stepdown import packing, recipe, tasks, transfer
from stepdown.data.dataset import Dataset, Split
from stepdown.data.task import Task
from stepdown.errors import CheckError, InputError
from stepdown.ladder.context import Context
from stepdown.ladder.plan import plan
from stepdown.runtime import Calibration, Classifier
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.students.model import TextModel
from stepdown.tokens import Words

CELL = "rung1-direct-seed0"
VOCABULARY = tuple(f"w{index}" for index in range(300))
LABELS = ("praise", "blame", "question")
SETS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], np.float32)
TASKS = {
    "several": Task("multi-label", LABELS, SETS),
    "number": Task("regression", ("stars",), np.array([[1], [1.5], [4], [5]], np.float32)),
    "pairs": Task.of_classes(LABELS, is_pair=True),
}


def texts(count: int, start: int, *, is_pair: bool) -> list[str]:
    draw = np.random.default_rng(start)
    single = [" ".join(draw.choice(VOCABULARY, 12)) for _ in range(2 * count)]
    return (
        [tasks.joined(*both) for both in zip(single[::2], single[1::2], strict=True)]
        if is_pair
        else single[:count]
    )


def a_context(out: Path, name: str) -> Context:
    """A run of one cell, trained (its weights are random), whose bundle is still to be packed."""
    task = TASKS[name]
    draw = np.random.default_rng(0)
    parts = [
        Split(texts(count, seed, is_pair=task.is_pair), draw.integers(-1, 3, count))
        for seed, count in enumerate((40, 30, 20))
    ]
    dataset = Dataset(task, *parts, [], facts(task.label_names))
    chosen = recipe.parse(
        {
            "name": name,
            "data": {"source": "rows.csv", "text": "text", "label": "label"},
            "teacher": {"model": "demo:minilm-l6"},
            "rungs": [{"model": "compact", "max_params": 15_000}],
            "compare": {"arms": ["direct"], "seeds": 1},
        }
    )
    out.mkdir()
    gathered = transfer.build(dataset, None)
    layout = plan(1, ("direct",), 1)
    context = Context(chosen, layout, out, dataset, gathered, {}, "key", Accelerator(cpu=True), torch.float32)
    torch.manual_seed(0)
    shape = shape_for(15_000, len(VOCABULARY), len(task.label_names))
    words = Words(VOCABULARY[: shape.vocabulary - 2])
    network = CompactNetwork(shape).eval()
    context.trained[CELL] = TextModel(
        network, words, task.label_names, 64, "compact", shape.describe(), task=task.kind
    )
    return context


def results_of(context: Context) -> dict[str, Any]:
    found = a_run(seeds=1, above=(), arms=("direct",))
    assert found["summary"]["bundle_cell"] == CELL
    names = list(context.dataset.task.label_names)
    return {
        **found,
        "recipe": context.recipe.model_dump(mode="json"),
        "data": {**found["data"], "label_names": names, "selection": len(context.dataset.selection)},
    }


def packed(context: Context, manifest: dict[str, Any]) -> Classifier:
    packing.keep_check_texts(context)
    context.manifests[CELL] = manifest
    packing.pack(context, CELL, results_of(context))
    return Classifier.load(context.out / "bundle")


def fitted(temperature: float, thresholds: list[float] | None = None) -> dict[str, Any]:
    """A manifest that says so."""
    return {
        "calibration": {
            "temperature": temperature,
            "split": "selection",
            "n": 30,
            "thresholds": thresholds,
        }
    }


def test_calibration_comes_from_the_cell_and_is_told(tmp_path: Path) -> None:
    found = packed(a_context(tmp_path / "run", "several"), fitted(1.7, [0.4, 0.4, 0.4]))
    assert found.about.calibration == Calibration(1.7, "selection", 30, (0.4, 0.4, 0.4))
    pairs = packed(a_context(tmp_path / "pairs", "pairs"), fitted(0.25))
    assert pairs.about.calibration == Calibration(0.25, "selection", 30)
    assert pairs.temperature == 0.25
    assert (found.task, found.is_pair, found.label_names) == ("multi-label", False, LABELS)
    for said in (
        "those of 3 labels that apply, which may be none or several: praise, blame, question.",
        "A label applies where its probability is at least 0.4, as chosen on 30 selection texts.",
        'predict THIS_FOLDER "…"\n',
        'model.predict(["…"])',
    ):
        assert said in found.card
    own = packed(a_context(tmp_path / "own", "several"), fitted(1.0, [0.5, 0.25, 0.125]))
    assert own.thresholds == (0.5, 0.25, 0.125)
    assert "at least its own threshold, 0.12 to 0.5, as chosen" in own.card


def test_cells_without_calibration_have_none(tmp_path: Path) -> None:
    found = packed(a_context(tmp_path / "run", "number"), {})
    assert found.about.calibration == Calibration()
    assert (found.task, found.label_names) == ("regression", ("stars",))
    assert "It answers with a number: stars." in found.card
    assert "threshold" not in found.card
    assert len(found.predict(["w1 w2", "w3"])) == 2


def test_a_run_on_pairs_gives_a_bundle_for_pairs(tmp_path: Path) -> None:
    context = a_context(tmp_path / "run", "pairs")
    found = packed(context, {})
    assert (found.task, found.is_pair) == ("single-label", True)
    assert found.predict([("w1 w2", "w3")])[0] in LABELS
    for said in ('predict THIS_FOLDER "…" "…"\n', 'model.predict([("…", "…")])', "tokens of a pair."):
        assert said in found.card
    asks = packing.Wishes(long_texts="sentences")
    model, checks = context.trained[CELL], packing._checks(context.out)
    with pytest.raises(InputError, match="this model reads pairs of texts"):
        packing._export(model, tmp_path / "b", checks, results_of(context), Calibration(), asks)


def test_labels_of_a_set_can_be_renamed(tmp_path: Path) -> None:
    context = a_context(tmp_path / "run", "several")
    packing.keep_check_texts(context)
    model, checks = context.trained[CELL], packing._checks(context.out)
    fitted = Calibration(1.0, "selection", 30, (0.0, 0.0, 1.0))
    renamed = packing.Wishes(renamed={"blame": "criticism", "praise": "blame"})
    packing._export(model, tmp_path / "b", checks, results_of(context), fitted, renamed)
    found = Classifier.load(tmp_path / "b")
    assert found.label_names == ("blame", "criticism", "question")
    assert found.thresholds == (0.0, 0.0, 1.0)
    assert set(found.predict(["w1"])[0]) == {"blame", "criticism"}
    assert "blame, criticism, question" in found.card


@pytest.mark.parametrize("name", TASKS)
def test_check_texts_know_the_right_answers(name: str, tmp_path: Path) -> None:
    context = a_context(tmp_path / "run", name)
    packing.keep_check_texts(context)
    checks = packing._checks(context.out)
    task, selection = context.dataset.task, context.dataset.selection
    assert checks.is_pair is task.is_pair
    assert list(checks.texts[:50]) == [*context.dataset.report.texts, *selection.texts]
    truth = checks.truth(len(task.label_names))
    assert np.isnan(truth[:20]).all(), "nothing may be decided by report texts"
    np.testing.assert_array_equal(truth[20:50], task.truth(selection.labels))
    kept = json.loads((context.out / "check-texts.json").read_text(encoding="utf-8"))
    met = {label for label in selection.labels.tolist() if label >= 0}
    assert len(met) < len(task.answers) or task.kind == "single-label"
    assert kept["answers"] is None if task.kind == "single-label" else len(kept["answers"]) == len(met)


def test_check_texts_without_any_label_are_read(tmp_path: Path) -> None:
    context = a_context(tmp_path / "run", "several")
    context.dataset.selection.labels[:] = -1
    packing.keep_check_texts(context)
    assert np.isnan(packing._checks(context.out).truth(3)).all()


def test_a_loss_is_told_in_the_metric_of_the_task(tmp_path: Path) -> None:
    context = a_context(tmp_path / "run", "number")
    packing.keep_check_texts(context)
    model, checks = context.trained[CELL], packing._checks(context.out)
    taken = packing.Wishes(weights="int8", accept_loss=True)
    cost = packing._export(model, tmp_path / "b", checks, results_of(context), Calibration(), taken)
    assert cost is not None
    assert (cost.task, cost.labelled) == ("regression", int((context.dataset.selection.labels >= 0).sum()))
    assert cost.before is not None
    assert "Pearson's correlation on" in Classifier.load(tmp_path / "b").card


def test_thresholds_of_another_number_of_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises((InputError, CheckError), match="3 numbers from 0 to 1"):
        packed(a_context(tmp_path / "run", "several"), fitted(1.0, [0.5]))
