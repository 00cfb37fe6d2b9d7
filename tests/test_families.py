"""Ladders of students that are built to a budget: every family and core, through every arm and every command."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepdown import Classifier, packing, recipe, runs, store
from stepdown.ladder.finished import model_of
from stepdown.runtime import LongTexts
from stepdown.students import saved
from tests.conftest import invoke, write_reviews

RUNGS = {
    "conv": ('model = "compact"\nmax_params = 15_000\ncore = "conv"', "gated convolution, 93 words"),
    "forward": ('model = "compact"\nmax_params = 15_000\ncore = "forward-gru"', "forward GRU, 93 words"),
    "bag": (
        'model = "bag"\nmax_params = 15_000',
        "bag of 93 words and 3K hashed pairs",
    ),
    "bytes": ('model = "compact"\nmax_bytes = 60_000', "bidirectional GRU, 93 words"),
}
PACKED = ("model.onnx", "words.json")


@pytest.mark.parametrize("name", RUNGS)
def test_a_ladder_that_ends_in_it(name: str, toy_recipe: Callable[..., Path], tmp_path: Path) -> None:
    rung, description = RUNGS[name]
    path = toy_recipe()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('model = "compact"\nmax_params = 15_000', rung), encoding="utf-8")
    out = tmp_path / "run"
    results = runs.work_through(runs.open_run(recipe.load(path), out))
    students = [cell for cell in results["cells"] if cell["position"] == 2]
    assert [cell["arm"] for cell in students] == ["direct", "one-hop", "chain", "dense"]
    for cell in students:
        assert cell["model"] == description
        assert cell["metrics"]["accuracy"]["value"] > 0.85
        spent = cell["spent"]
        assert spent["table_parameters"] + spent["network_parameters"] == cell["params"]
        assert cell["params"] <= (spent["max_params"] or 1e9)
        assert cell["bytes"] <= (spent["max_bytes"] or 1e9)
        if name == "bytes":
            packing.export_cell(out, cell["id"], tmp_path / "packed")
            assert sum((tmp_path / "packed" / file).stat().st_size for file in PACKED) <= spent["max_bytes"]
        assert spent["coverage"] == 1.0
        assert store.read_json(out / "cells" / cell["id"] / "manifest.json")["spent"] == spent
    # The bundle says what the cell's model said; so does any cell that is read again from its folder.
    chosen = results["summary"]["bundle_cell"]
    context = runs.open_run(recipe.load(path), out)
    kept = store.load_array(out / "cells" / chosen / "report.npy")
    assert kept is not None
    classifier = Classifier.load(out / "bundle")
    assert np.abs(classifier.logits(context.dataset.report.texts) - kept).max() < 1e-4
    assert saved.load(out / "cells" / chosen).description == description
    assert f"What it is: {description}" in (out / "bundle" / "README.md").read_text(encoding="utf-8")
    # Asked again, nothing is left to do, and the plan knows what was built.
    assert runs.finished(runs.open_run(recipe.load(path), out)) is not None
    more = write_reviews(tmp_path / "more.csv", 100, seed=7)
    words = ("--json", "--text", "review", "--label", "verdict", "--against", out / "bundle")
    told = invoke("evaluate", out / "cells" / chosen, more, *words)
    assert told.exit_code == 0, told.output
    document = json.loads(told.stdout)
    assert document["metrics"]["accuracy"]["value"] > 0.85
    assert document["comparison"]["difference"] == 0.0


def test_a_bag_may_teach_a_bag(toy_recipe: Callable[..., Path], tmp_path: Path) -> None:
    path = toy_recipe(arms='["chain", "dense"]')
    bags = 'model = "bag"\nmax_params = 30_000', 'model = "bag"\nmax_params = 15_000'
    text = path.read_text(encoding="utf-8").replace('model = "teacher:1"', bags[0])
    path.write_text(text.replace('model = "compact"\nmax_params = 15_000', bags[1]), encoding="utf-8")
    chosen = recipe.load(path, ["rungs.0.epochs=8", "rungs.0.learning_rate=2e-2"])
    results = runs.work_through(runs.open_run(chosen, tmp_path / "run"))
    assert [cell["kind"] for cell in results["cells"]] == ["teacher", "rung", "rung", "rung"]
    assert {cell["metrics"]["accuracy"]["value"] > 0.85 for cell in results["cells"]} == {True}


def test_each_rung_cuts_texts_where_it_is_told_to(toy_recipe: Callable[..., Path], tmp_path: Path) -> None:
    chosen = recipe.load(toy_recipe(arms='["chain"]'), ["rungs.0.max_length=16", "rungs.1.max_length=100"])
    out = tmp_path / "run"
    results = runs.work_through(runs.open_run(chosen, out))
    lengths = {"teacher": 32, "rung1-seed0": 16, results["summary"]["bundle_cell"]: 100}
    context = runs.open_run(chosen, out)
    assert {name: model_of(context, name).max_length for name in lengths} == lengths
    for name, length in lengths.items():
        packing.export_cell(out, name, tmp_path / f"{name}.stepdown", packing.Wishes(long_texts="sentences"))
        packed = Classifier.load(tmp_path / f"{name}.stepdown")
        assert (packed.max_length, packed.long_texts) == (length, LongTexts(length, "sentences"))
    assert Classifier.load(out / "bundle").read(["good " * 90])[1].tolist() == [False]
