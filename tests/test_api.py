from collections.abc import Callable
from pathlib import Path

import pytest

import stepdown
from tests.conftest import corpus


def test_a_recipe_runs_and_its_teacher_distils_lists_of_texts(
    toy_recipe: Callable[..., Path], tmp_path: Path
) -> None:
    first = stepdown.run(toy_recipe(arms='["direct"]'), tmp_path / "first")
    assert "direct" in first.table()
    assert stepdown.run(toy_recipe(arms='["direct"]'), tmp_path / "first").results == first.results
    texts, labels = corpus(500, seed=3)
    second = stepdown.distill(
        texts, labels, teacher=tmp_path / "first/cells/teacher", student=15_000, out=tmp_path / "second"
    )
    assert second.results["cells"][-1]["params"] <= 15_000
    assert second.classifier().predict(["word1 word9 good word2", "word3 word5 bad word4"]) == [
        "positive",
        "negative",
    ]
    # A folder of any name will do, and texts without labels.
    known = [None if index % 10 == 0 else label for index, label in enumerate(labels)]
    teacher, out = tmp_path / "first/cells/teacher", tmp_path / "my own run"
    third = stepdown.distill(texts, known, teacher=teacher, student=15_000, views=1, out=out)
    assert third.results["data"]["transfer"] > 600
    assert third.results["data"]["label_names"] == ["negative", "positive"]
    assert third.results["recipe"]["name"] == "my-own-run"
    assert third.results["data"]["facts"]["unlabeled"] == 50


def test_one_string_is_no_list_of_texts(tmp_path: Path) -> None:
    with pytest.raises(stepdown.InputError, match=r"\[text\]"):
        stepdown.distill("a text", ["x"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_label_for_each_text(tmp_path: Path) -> None:
    with pytest.raises(stepdown.InputError, match="2 texts and 1 labels"):
        stepdown.distill(["a", "b"], ["x"], out=tmp_path / "run")
