"""Whole runs on texts without labels, by teachers that are fine-tuned already."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import stepdown
from stepdown import recipe, results, runs
from stepdown.errors import DataError, InputError, ModelError
from stepdown.ladder import cells
from stepdown.ladder.estimate import estimate
from tests.conftest import corpus, invoke, make_teacher


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that knows negative from positive, in the true layout."""
    folder = tmp_path_factory.mktemp("fine-tuned")
    rows = [f"{text},{label}" for text, label in zip(*corpus(600), strict=True)]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    described = {
        "name": "top",
        "data": {"source": str(folder / "data.csv"), "text": "text", "label": "label", "max_length": 32},
        "teacher": {"model": str(make_teacher(folder / "encoder")), "epochs": 4, "learning_rate": 2e-3},
        "rungs": [{"model": "compact", "max_params": 12_000}],
        "compare": {"arms": ["direct"], "seeds": 1},
    }
    context = runs.open_run(recipe.parse(described), folder / "run")
    cells.work(context, context.plan.cells[0])
    return folder / "run" / "cells" / "teacher"


def renamed(teacher: Path, folder: Path, names: dict[str, str], **config: object) -> Path:
    """The same model with other names for its labels."""
    shutil.copytree(teacher, folder)
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    about |= {"id2label": names, "label2id": {name: int(at) for at, name in names.items()}, **config}
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def lines(path: Path, texts: list[str]) -> str:
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return str(path)


def wanted(teacher: Path | list[str], data: dict[str, Any], **tables: Any) -> dict[str, Any]:
    return {
        "name": "unlabelled",
        "data": {"text": "text", "max_length": 32, **data},
        "teacher": {"model": str(teacher) if isinstance(teacher, Path) else teacher},
        "rungs": [
            {"model": "teacher:1", "epochs": 2, "learning_rate": 1e-3},
            {"model": "compact", "max_params": 12_000, "epochs": 5, "batch_size": 32},
        ],
        "compare": {"seeds": 1},
        **tables,
    }


def test_a_ladder_learns_from_texts_alone(fine_tuned: Path, tmp_path: Path) -> None:
    source = lines(tmp_path / "texts.txt", corpus(500, 3)[0])
    more = lines(tmp_path / "more.txt", corpus(200, 4)[0])
    described = wanted(fine_tuned, {"source": source}, transfer={"unlabeled": more})
    done = stepdown.run(described, tmp_path / "run")
    found = done.results
    results.validate(found)
    assert found["data"]["label_names"] == ["negative", "positive"]
    assert found["metric"] == "agreement"
    ids = [cell["id"] for cell in found["cells"]]
    assert ids == ["teacher", "rung1-seed0", "rung2-one-hop-seed0", "rung2-chain-seed0", "rung2-dense-seed0"]
    assert found["cells"][0]["metrics"].keys() == {"ms_per_text"}
    assert all(cell["metrics"]["agreement"]["value"] > 0.85 for cell in found["cells"][1:])
    assert {one["kind"] for one in found["comparisons"]} == {"arm"}
    assert {one["metric"] for one in found["comparisons"]} == {"agreement"}
    assert found["summary"]["times_faster"] is not None
    assert done.classifier().predict(["word1 good word2", "dull word3"]) == ["positive", "negative"]
    table = " ".join(done.table().split())
    assert "direct was left out: no training text has a label to learn from." in table
    assert "What is predicted are the teacher's labels: 'negative', 'positive'." in table
    assert runs.finished(runs.open_run(recipe.parse(described), tmp_path / "run")) is not None
    for layout in ("html", "markdown", "json"):
        assert invoke("report", tmp_path / "run", "--format", layout).exit_code == 0


def test_check_and_the_plan_tell_what_there_is(fine_tuned: Path, tmp_path: Path) -> None:
    described = wanted(fine_tuned, {"source": lines(tmp_path / "texts.txt", corpus(300, 3)[0])})
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.dump(recipe.parse(described)), encoding="utf-8")
    told = invoke("check", path)
    assert told.exit_code == 0, told.output
    assert "single-label, 2 labels, from the teacher, for texts in the column 'text'" in told.output
    assert "240 texts of train, without labels" in told.output
    assert "is taken as it is: no text has a label to measure it by" in told.output
    assert "report: 30 rows, cut from train, whole groups" in told.output
    assert "rung2-direct" not in told.output
    assert "direct is left out: no text of train has a label to learn from" in told.output
    costs = estimate(runs.open_run(recipe.parse(described), tmp_path / "run"))
    assert costs["rung1-seed0"].asking > 0


def test_labelled_validation_texts_measure_it(fine_tuned: Path, tmp_path: Path) -> None:
    train = lines(tmp_path / "texts.txt", corpus(400, 3)[0])
    held_out = [f"{text},{label.upper()}" for text, label in zip(*corpus(100, 5), strict=True)]
    (tmp_path / "validation.csv").write_text("\n".join(["text,label", *held_out]) + "\n", encoding="utf-8")
    data = {"train": train, "validation": str(tmp_path / "validation.csv")}
    described = wanted(fine_tuned, data, compare={"arms": ["one-hop"], "seeds": 1})
    done = stepdown.run(described, tmp_path / "run")
    assert (done.results["metric"], done.results["selection_metric"]) == ("accuracy", "agreement")
    teacher, student = done.results["cells"]
    assert teacher["metrics"]["accuracy"]["value"] > 0.9
    assert student["metrics"]["accuracy"]["value"] > 0.85
    assert {"accuracy", "agreement"} <= student["metrics"].keys()
    assert {one["kind"] for one in done.results["comparisons"]} == {"rung"}
    context = runs.open_run(recipe.parse(described), tmp_path / "run")
    assert "of 100 report texts" in " ".join(runs.check_teacher(context))


def test_a_teacher_is_matched_with_the_names_that_are_given(fine_tuned: Path, tmp_path: Path) -> None:
    source = lines(tmp_path / "texts.txt", corpus(300, 3)[0])
    numbered = renamed(fine_tuned, tmp_path / "numbered", {"0": "LABEL_0", "1": "LABEL_1"})
    one_hop = {"arms": ["one-hop"], "seeds": 1}

    def names(
        teacher: Path | list[str], label_names: list[str] | None = None, label_map: Any = None
    ) -> tuple[str, ...]:
        data = {"source": source} | ({"label_names": label_names} if label_names else {})
        described = wanted(teacher, data, compare=one_hop)
        described["teacher"] |= {"label_map": label_map} if label_map else {}
        context = runs.open_run(recipe.parse(described), tmp_path / "run")
        runs.check_teacher(context)
        return context.dataset.task.label_names

    assert names(numbered) == ("LABEL_0", "LABEL_1")
    assert names(numbered, label_names=["bad", "good"]) == ("bad", "good")
    assert names(fine_tuned, label_names=["POSITIVE", "NEGATIVE"]) == ("POSITIVE", "NEGATIVE")
    assert names(fine_tuned, label_map={"positive": "+", "negative": "-"}) == ("-", "+")
    both = [str(fine_tuned), str(renamed(fine_tuned, tmp_path / "other", {"0": "Negative", "1": "Positive"}))]
    assert names(both) == ("negative", "positive")
    with pytest.raises(
        ModelError, match="knows the labels negative, positive, and label_names says bad, good"
    ):
        names(fine_tuned, label_names=["bad", "good"])
    # Whose label 0 is which nobody can tell without texts with labels.
    with pytest.raises(
        ModelError, match="numbered: The teacher's labels have no names of their own, and no text has"
    ):
        names([str(fine_tuned), str(numbered)])


def test_labels_in_the_order_of_the_names_that_are_given(fine_tuned: Path, tmp_path: Path) -> None:
    source = lines(tmp_path / "texts.txt", corpus(400, 3)[0])
    described = wanted(
        fine_tuned,
        {"source": source, "label_names": ["positive", "negative"]},
        compare={"arms": ["one-hop"], "seeds": 1},
    )
    model = stepdown.run(described, tmp_path / "run").classifier()
    assert model.label_names == ("positive", "negative")
    assert model.predict(["word1 good word2", "dull word3"]) == ["positive", "negative"]


def test_a_teacher_of_several_labels_a_text_teaches_by_its_sets(fine_tuned: Path, tmp_path: Path) -> None:
    teacher = renamed(
        fine_tuned, tmp_path / "sets", {"0": "bad", "1": "good"}, problem_type="multi_label_classification"
    )
    described = wanted(
        teacher,
        {"source": lines(tmp_path / "texts.txt", corpus(400, 3)[0])},
        compare={"arms": ["one-hop", "chain"], "seeds": 1},
    )
    done = stepdown.run(described, tmp_path / "run")
    assert done.results["data"]["task"] == "multi-label"
    assert done.results["metric"] == "agreement"
    assert done.results["summary"]["accuracy"]["value"] > 0.8
    model = done.classifier()
    assert model.predict(["word1 good word2"]) == [["good"]]
    assert all(0 < threshold < 1 for threshold in model.thresholds)


def test_what_needs_labels_is_refused_without_any(
    fine_tuned: Path, toy_teacher: Path, tmp_path: Path
) -> None:
    source = lines(tmp_path / "texts.txt", corpus(300, 3)[0])

    def refused(teacher: Path, error: type[InputError], says: str, **tables: Any) -> None:
        with pytest.raises(error, match=says):
            stepdown.run(wanted(teacher, {"source": source}, **tables), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    refused(
        toy_teacher,
        ModelError,
        "has no head for a task, and no text of train has a label by which it could be",
    )
    alone = {"arms": ["direct"], "seeds": 1}
    refused(fine_tuned, DataError, "nothing to learn from labels: the arm direct cannot be", compare=alone)
    hard = {"hard_weight": 0.5, "gold_epochs": 2}
    refused(
        fine_tuned, DataError, "hard_weight = 0.5 and gold_epochs = 2 cannot be. Leave it out", distill=hard
    )


def test_a_label_column_that_is_misspelt_is_no_data_without_labels(fine_tuned: Path, tmp_path: Path) -> None:
    rows = [f"{text},{label}" for text, label in zip(*corpus(100), strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    described = wanted(fine_tuned, {"source": str(tmp_path / "data.csv"), "label": "lable"})
    with pytest.raises(DataError, match=r"no column 'lable'.* Did you mean 'label'\?"):
        stepdown.run(described, tmp_path / "run")


def test_too_few_texts_to_be_cut_are_refused(fine_tuned: Path, tmp_path: Path) -> None:
    described = wanted(fine_tuned, {"source": lines(tmp_path / "texts.txt", ["a text", "another one"])})
    with pytest.raises(DataError, match="train has 2 rows after cleaning: too few to cut a report split"):
        stepdown.run(described, tmp_path / "run")
