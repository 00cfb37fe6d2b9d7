"""Whole runs of the other kinds of task: from a file to a bundle that answers."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import stepdown
from stepdown import runs
from stepdown.cli import cli
from stepdown.evaluate.abstaining import TRIED
from stepdown.packing import Wishes, export_cell
from stepdown.recipe import load
from tests.conftest import BAD, FILLER, GOOD, make_teacher


def texts_and_words(n: int) -> tuple[list[str], list[set[str]]]:
    """Texts, and the words of each that mean something."""
    draw = np.random.default_rng(5)
    texts, told = [], []
    for _ in range(n):
        words = list(draw.choice(FILLER, draw.integers(4, 9)))
        said = {str(word) for word in draw.choice([*GOOD, *BAD], draw.integers(0, 3))}
        words += sorted(said)  # a set has another order in every process
        texts.append(" ".join(draw.permutation(words)))
        told.append(said)
    return texts, told


def write(path: Path, head: list[str], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])


def recipe(
    folder: Path, data: dict[str, object], arms: tuple[str, ...] = ("direct", "one-hop")
) -> dict[str, object]:
    return {
        "name": "toy",
        "data": {"source": str(folder / "data.csv"), "max_length": 32, **data},
        "teacher": {"model": str(make_teacher(folder / "teacher")), "epochs": 8, "learning_rate": 3e-3},
        "rungs": [{"model": "compact", "max_params": 8_000, "epochs": 6, "batch_size": 16}],
        "compare": {"arms": list(arms), "seeds": 1},
    }


def run(folder: Path, wanted: dict[str, object]) -> stepdown.Run:
    return stepdown.run(wanted, out=folder / "run")


def test_a_run_with_several_labels_a_text(tmp_path: Path) -> None:
    texts, told = texts_and_words(500)
    rows: list[list[object]] = [
        [text, *(int(bool(said & set(words))) for words in (GOOD, BAD))]
        for text, said in zip(texts, told, strict=True)
    ]
    write(tmp_path / "data.csv", ["text", "good", "bad"], rows)
    done = run(tmp_path, recipe(tmp_path, {"text": "text", "label": ["good", "bad"]}))
    results = done.results
    assert results["metric"] == "micro_f1"
    assert results["data"]["task"] == "multi-label"
    assert results["summary"]["accuracy"]["value"] > 0.8
    model = done.classifier()
    assert model.task == "multi-label"
    assert set(model.predict(["word1 good word2 bad", "word3 word4"])[0]) == {"good", "bad"}
    assert all(0 < threshold < 1 for threshold in model.thresholds)
    assert model.about.calibration.split == "selection"
    student = next(c for c in results["cells"] if c["id"] == results["summary"]["bundle_cell"])
    assert asdict(model.about.calibration) == student["calibration"] | {"thresholds": model.thresholds}
    assert {"ece", "ece_uncalibrated"} < set(student["metrics"])
    assert student["abstaining"] == []
    assert "micro F1" in done.table()
    assert "2 labels, any number of which may apply to a text: good, bad." in done.table()
    assert "Micro F1" in model.card


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_a_run_that_predicts_a_number(tmp_path: Path, scale: float) -> None:
    texts, told = texts_and_words(500)
    values = [scale * (3 + len(said & set(GOOD)) - len(said & set(BAD)) + 0.25) for said in told]
    write(tmp_path / "data.csv", ["text", "stars"], [[t, v] for t, v in zip(texts, values, strict=True)])
    wanted = recipe(tmp_path, {"text": "text", "label": "stars", "task": "regression"})
    done = run(tmp_path, wanted)
    assert done.results["metric"] == "pearson"
    assert done.results["summary"]["accuracy"]["value"] > 0.7
    low, high = done.classifier().predict(["bad dull poor word1", "good great fine word1"])
    assert isinstance(low, float)
    assert low < 3.25 * scale < high
    assert "Pearson" in done.table()
    assert "A number is predicted: stars, in training texts" in done.table()
    json.dumps(done.results, allow_nan=False)


def test_a_rung_that_predicts_the_number_already_begins_where_it_is(tmp_path: Path) -> None:
    """Its head is in the data's unit: brought there once more, it would begin far from what it knows."""
    texts, told = texts_and_words(300)
    values = [40 + 5.0 * (len(said & set(GOOD)) - len(said & set(BAD))) for said in told]
    write(tmp_path / "data.csv", ["text", "stars"], [[t, v] for t, v in zip(texts, values, strict=True)])
    wanted = recipe(tmp_path, {"text": "text", "label": "stars", "task": "regression"}, ("one-hop",))
    run(tmp_path, wanted)
    top = tmp_path / "run" / "cells" / "teacher"
    rung = {"model": str(top), "epochs": 1, "learning_rate": 1e-9}
    again = stepdown.run(
        wanted | {"teacher": {"model": str(top)}, "rungs": [rung]}, out=tmp_path / "again"
    ).results["cells"]
    errors = {cell["id"]: cell["metrics"]["rmse"]["value"] for cell in again}
    assert errors["rung1-one-hop-seed0"] == pytest.approx(errors["teacher"], rel=0.02)


def test_a_run_on_pairs(tmp_path: Path) -> None:
    texts, told = texts_and_words(500)
    # All that matters is in the second text.
    rows: list[list[object]] = [
        [f"word1 {texts[index - 1].split()[0]}", text, "yes" if said & set(GOOD) else "no"]
        for index, (text, said) in enumerate(zip(texts, told, strict=True))
    ]
    write(tmp_path / "data.csv", ["sentence1", "sentence2", "label"], rows)
    wanted = recipe(tmp_path, {"text": ["sentence1", "sentence2"], "label": "label"})
    done = run(tmp_path, wanted | {"transfer": {"views": 2}})
    model = done.classifier()
    assert model.is_pair
    [views] = done.results["data"]["transfer_facts"]["sources"]
    assert views["source"] == "views of train"
    assert views["kept"] > 100
    assert model.predict([("word1 word2", "good word3"), ("word1", "bad word4")]) == ["yes", "no"]
    assert done.results["metric"] == "accuracy"
    assert '"…" "…"' in done.table()
    assert done.results["summary"]["accuracy"]["value"] > 0.8


def measured(model: Path, data: Path) -> dict[str, dict[str, float]]:
    words = ["evaluate", str(model), str(data), "--text", "text", "--label", "label", "--json"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout)["metrics"])


def test_a_calibration_is_one_wherever_it_is_told(tmp_path: Path) -> None:
    texts, told = texts_and_words(900)
    draw = np.random.default_rng(1)
    # One label in six is wrong, so that nobody can be sure.
    labels = [bool(said & set(GOOD)) != (draw.random() < 1 / 6) for said in told]
    rows: list[list[object]] = [
        [text, "yes" if own else "no"] for text, own in zip(texts, labels, strict=True)
    ]
    write(tmp_path / "data.csv", ["text", "label"], rows)
    wanted = recipe(tmp_path, {"text": "text", "label": "label"}, ("direct",))
    done = run(tmp_path, wanted)
    results = done.results
    for cell in results["cells"]:
        fitted = cell["calibration"]
        assert cell["calibration_note"] is None
        assert (fitted["split"], fitted["n"]) == ("selection", results["data"]["selection"])
        assert fitted["temperature"] != 1
        assert {"ece", "ece_uncalibrated", "nll", "nll_uncalibrated"} < set(cell["metrics"])
        assert [one["below"] for one in cell["abstaining"]] == list(TRIED)
        # It was fitted there, so there it can only be better.
        on_selection = cell["selection_metrics"]
        assert on_selection["nll"]["value"] <= on_selection["nll_uncalibrated"]["value"]
    name = results["summary"]["bundle_cell"]
    (student,) = (cell for cell in results["cells"] if cell["id"] == name)
    model = done.classifier()
    calibration = student["calibration"]
    assert asdict(model.about.calibration) == calibration
    # What the bundle and the cell's folder say on the report texts is what the run told of them.
    context = runs.open_run(load(str(tmp_path / "run" / "recipe.toml")), tmp_path / "run")
    split, names = context.dataset.report, context.dataset.task.label_names
    told_rows = [[text, names[label]] for text, label in zip(split.texts, split.labels, strict=True)]
    write(tmp_path / "report.csv", ["text", "label"], told_rows)
    for place in (tmp_path / "run/bundle", tmp_path / "run/cells" / name):
        found = measured(place, tmp_path / "report.csv")
        for metric in ("accuracy", "ece", "ece_uncalibrated", "nll", "nll_uncalibrated"):
            assert found[metric]["value"] == pytest.approx(student["metrics"][metric]["value"], abs=1e-4)
    # Asked to abstain, the bundle answers as many as the report says, and as many of them rightly.
    for one in student["abstaining"]:
        said = model.predict(split.texts, abstain_below=one["below"])
        answered = [
            own == names[label] for own, label in zip(said, split.labels, strict=True) if own is not None
        ]
        assert len(answered) == pytest.approx(one["share"]["value"] * one["share"]["n"])
        assert not answered or np.mean(answered) == pytest.approx(one["accuracy"]["value"])
    temperature = f"{calibration['temperature']:.3g}"
    line = (
        f"Scores are calibrated: temperature {temperature}, fitted on {calibration['n']:,} selection texts."
    )
    for page in (done.table(), (tmp_path / "run/report.html").read_text(encoding="utf-8"), model.card):
        assert line in " ".join(page.replace("\\", "").split())
    # Stored as int8, it keeps what was fitted.
    path, _ = export_cell(tmp_path / "run", None, tmp_path / "b.stepdown", Wishes("int8", accept_loss=True))
    assert asdict(stepdown.Classifier.load(path).about.calibration) == calibration
