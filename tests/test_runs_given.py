"""Whole runs whose teacher is no model: ready soft labels in the data, and functions of a Python program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stepdown
from stepdown import packing, recipe, results, runs
from stepdown.errors import DataError, InputError, ModelError
from stepdown.ladder import given, rungs
from stepdown.ladder.called import name_of
from stepdown.ladder.context import Ended
from stepdown.ladder.estimate import estimate
from stepdown.students import building, embeddings, huggingface
from tests.conftest import GOOD, corpus, invoke, make_teacher, run_by_two


def scores(texts: Sequence[str], noise: float = 0.0) -> list[list[float]]:
    """Probabilities of negative and positive of a teacher that looks for the words that matter."""
    draw = np.random.default_rng(len(texts))
    found = []
    for text in texts:
        margin = (3 if set(text.split()) & set(GOOD) else -3) + noise * draw.normal()
        p = float(1 / (1 + np.exp(-margin)))
        found.append([1 - p, p])
    return found


def rows(count: int, seed: int = 0, *, labelled: bool = True, scored: bool = True) -> list[dict[str, Any]]:
    texts, labels = corpus(count, seed)
    said = scores(texts, noise=0.5)
    return [
        {"text": text} | ({"label": label} if labelled else {}) | ({"p0": p, "p1": q} if scored else {})
        for text, label, (p, q) in zip(texts, labels, said, strict=True)
    ]


def write(path: Path, content: Sequence[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return str(path)


def wanted(data: dict[str, Any], **tables: Any) -> dict[str, Any]:
    compact = {"model": "compact", "max_params": 12_000, "epochs": 5, "batch_size": 32}
    return {
        "name": "given",
        "data": {"text": "text", "label": "label", "max_length": 32, **data},
        "teacher": {"model": "labels:p0,p1"},
        "rungs": [compact],
        "compare": {"arms": ["direct", "one-hop"], "seeds": 1},
        **tables,
    }


def worked(described: dict[str, Any], out: Path) -> list[str]:
    """The cells that a run works on."""
    done: list[str] = []
    context = runs.open_run(recipe.parse(described), out)
    runs.work_through(context, lambda event: done.append(event.cell) if isinstance(event, Ended) else None)
    return done


def test_ready_soft_labels_teach_a_ladder(tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", rows(500))
    write(tmp_path / "more.jsonl", rows(300, 1, labelled=False))
    described = wanted(
        {"source": str(tmp_path / "data.jsonl")},
        transfer={"unlabeled": str(tmp_path / "more.jsonl")},
        rungs=[
            {"model": "bag", "max_params": 20_000, "epochs": 3, "batch_size": 32},
            {"model": "compact", "max_params": 12_000, "epochs": 5, "batch_size": 32},
        ],
        compare={"arms": ["direct", "one-hop", "chain", "dense"], "seeds": 1},
    )
    done = stepdown.run(described, tmp_path / "run")
    found = done.results
    results.validate(found)
    by_id = {cell["id"]: cell for cell in found["cells"]}
    teacher = by_id["teacher"]
    assert teacher["model"] == "ready soft labels in the columns 'p0', 'p1'"
    assert (teacher["params"], teacher["bytes"]) == (0, 0)
    assert teacher["metrics"]["accuracy"]["value"] > 0.95
    assert "ms_per_text" not in teacher["metrics"]
    assert by_id["rung2-dense-seed0"]["metrics"]["agreement"]["value"] > 0.9
    assert done.classifier().predict(["word1 good word2", "dull word3 word4"]) == ["positive", "negative"]
    assert found["data"]["transfer"] == 400 + 300
    assert found["environment"]["models"] == {}
    table = " ".join(done.table().split())
    assert "with the teacher's scores of it" in table
    assert "embeddings begin at random, as demo:minilm-l6 is not in the cache" in table
    card = done.classifier().card
    assert "Its teacher: ready soft labels in the columns 'p0', 'p1'." in card
    assert "soft labels that came with the data" in card
    assert worked(described, tmp_path / "run") == []
    with pytest.raises(
        InputError, match=r"is no model .*so there is nothing to pack. Pack a rung with --cell: rung1"
    ):
        packing.export_cell(tmp_path / "run", "teacher", None)
    # Other scores are another teacher.
    write(tmp_path / "more.jsonl", [row | {"p0": 0.5, "p1": 0.5} for row in rows(300, 1, labelled=False)])
    assert "teacher" in worked(described, tmp_path / "run")


def test_a_teacher_that_said_nothing_of_the_report_texts_is_not_measured(tmp_path: Path) -> None:
    data = {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "test")}
    write(tmp_path / "train.jsonl", rows(400))
    write(tmp_path / "test.jsonl", rows(100, 3, scored=False))
    described = wanted(data)
    done = stepdown.run(described, tmp_path / "run")
    results.validate(done.results)
    teacher, *rungs = done.results["cells"]
    assert teacher["metrics"] == {}
    assert teacher["selection_metrics"]["accuracy"]["value"] > 0.9
    assert all("agreement" not in cell["metrics"] for cell in rungs)
    assert all(cell["metrics"]["accuracy"]["value"] > 0.8 for cell in rungs)
    assert [one["kind"] for one in done.results["comparisons"]] == ["arm"]
    assert done.results["summary"]["accuracy_kept"] is None
    assert "The teacher said nothing of the report texts" in done.table()
    for layout in ("html", "markdown", "terminal"):
        assert invoke("report", tmp_path / "run", "--format", layout).exit_code == 0


def test_check_says_what_the_scores_are_and_how_good(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", rows(400))
    write(tmp_path / "test.jsonl", rows(100, 3, scored=False))
    path = tmp_path / "recipe.toml"
    described = wanted({"train": "train.jsonl", "test": "test.jsonl"})
    path.write_text(recipe.dump(recipe.parse(described, base=tmp_path)), encoding="utf-8")
    told = invoke("check", path)
    assert told.exit_code == 0, told.output
    assert "the scores are probabilities (they run from " in told.output
    assert "in the order of the labels: 'p0' is 'negative', 'p1' is 'positive'" in told.output
    assert "Ready soft labels in the columns 'p0', 'p1'" in told.output
    assert "It is right on " in told.output
    assert "It says nothing of any of the 100 report texts, so it is not measured there" in told.output
    assert "embeddings begin at random" in told.output


def test_embeddings_that_nobody_lent_learn_at_the_full_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [row | {"other": f"word{at % 60}"} for at, row in enumerate(rows(400))]
    described = wanted({"source": write(tmp_path / "pairs.jsonl", pairs), "text": ["text", "other"]})
    context = runs.open_run(recipe.parse(described), tmp_path / "run")
    settings = context.recipe.resolved_rung(0)
    assert rungs._embedding_rate(context, settings) == 1.0
    assert rungs._embedding_rate(context, replace(settings, embedding_rate=0.3)) == 0.3
    monkeypatch.setattr(given, "initial_of", lambda context: given.INITIAL)
    assert rungs._embedding_rate(context, settings) == 0.1


def test_columns_in_the_wrong_order_are_noticed(tmp_path: Path) -> None:
    write(tmp_path / "data.jsonl", rows(400))
    described = wanted({"source": str(tmp_path / "data.jsonl")}, teacher={"model": "labels:p1,p0"})
    with pytest.raises(
        ModelError, match=r"does not know this task: it is right on .* which score is of which label"
    ):
        worked(described, tmp_path / "run")
    assert not (tmp_path / "run" / "cells").exists()


def test_ready_numbers_are_brought_into_the_datas_unit(tmp_path: Path) -> None:
    texts, labels = corpus(500)
    content = [
        {
            "text": text,
            "label": 3.0 + (label == "positive") + len(text) / 1000,
            "guess": 100.0 * (label == "positive"),
        }
        for text, label in zip(texts, labels, strict=True)
    ]
    source = write(tmp_path / "data.jsonl", content)
    described = wanted({"source": source, "task": "regression"}, teacher={"model": "labels:guess"})
    context = runs.open_run(recipe.parse(described), tmp_path / "run")
    assert "another unit than the data's, and are taken as 0.00998 · number + 3.05" in " ".join(
        runs.check_teacher(context)
    )
    assert all(one.seconds >= 0 for one in estimate(context).values())
    done = stepdown.run(described, tmp_path / "run")
    assert done.results["cells"][0]["metrics"]["pearson"]["value"] > 0.9
    low, high = done.classifier().predict(["word1 dull word2 word3", "word1 good word2 word3"])
    assert 2.5 < low < 3.6 < high < 4.6


def test_ready_soft_labels_of_several_labels_a_text(tmp_path: Path) -> None:
    texts, labels = corpus(500)
    content = [
        {
            "text": text,
            "label": [label, "long"] if len(text.split()) > 6 else [label],
            "said": {
                "long": 0.9 if len(text.split()) > 6 else 0.1,
                **{name: 0.95 if name == label else 0.05 for name in ("negative", "positive")},
            },
        }
        for text, label in zip(texts, labels, strict=True)
    ]
    source = write(tmp_path / "data.jsonl", content)
    done = stepdown.run(wanted({"source": source}, teacher={"model": "labels:said"}), tmp_path / "run")
    assert done.results["cells"][0]["metrics"]["micro_f1"]["value"] > 0.99
    assert done.results["summary"]["accuracy"]["value"] > 0.7


# --- functions ----------------------------------------------------------------------------------------------------


class Service:
    """A teacher that counts what it is asked, and breaks when it is told to."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.breaks_after = breaks_after

    def __call__(self, texts: list[str]) -> list[list[float]]:
        if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
            raise TimeoutError("no answer within 30 s")
        assert all(isinstance(text, str) for text in texts)
        assert len(texts) <= 256
        self.asked += texts
        return scores(texts)


def test_a_function_teaches_and_is_asked_once(tmp_path: Path) -> None:
    texts, labels = corpus(700)
    more = corpus(400, 9)[0]
    service = Service()
    done = stepdown.distill(
        texts, labels, teacher=service, student=12_000, unlabeled=more, out=tmp_path / "run"
    )
    assert len(service.asked) == len(set(service.asked)) == 1100
    teacher = done.results["cells"][0]
    assert teacher["model"] == f"a Python function, {name_of(service)}"
    assert teacher["metrics"]["accuracy"]["value"] == 1
    assert done.results["cells"][1]["metrics"]["agreement"]["value"] > 0.9
    assert done.classifier().predict(["word1 good word2", "dull word3"]) == ["positive", "negative"]
    # What is finished is not asked for again, by whatever has that name.
    again = Service()
    assert (
        stepdown.distill(
            texts, labels, teacher=again, student=12_000, unlabeled=more, out=tmp_path / "run"
        ).results
        == done.results
    )
    assert again.asked == []
    with pytest.raises(InputError, match=r"test_runs_given.Service: a function, which only a Python"):
        stepdown.run(tmp_path / "run" / "recipe.toml", tmp_path / "run")
    assert "Its teacher: a Python function, " in done.classifier().card


def test_a_function_that_fails_is_told_and_taken_up_again(tmp_path: Path) -> None:
    texts, labels = corpus(1500)
    broken = Service(breaks_after=1000)
    with pytest.raises(
        ModelError, match=r"Service\) failed on 256 texts.*TimeoutError: no answer within 30 s. What"
    ) as e:
        stepdown.distill(texts, labels, teacher=broken, student=12_000, out=tmp_path / "run")
    assert isinstance(e.value.__cause__, TimeoutError)
    mended = Service()
    done = stepdown.distill(texts, labels, teacher=mended, student=12_000, out=tmp_path / "run")
    assert not set(mended.asked) & set(broken.asked)
    whole = stepdown.distill(texts, labels, teacher=Service(), student=12_000, out=tmp_path / "whole")
    assert done.results["cells"][1]["metrics"]["nll"] == whole.results["cells"][1]["metrics"]["nll"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda texts: np.zeros((len(texts), 3)), r"answered with an array of 50 × 3; expected an array of 50 × 2 num"),
        (lambda texts: np.zeros((1, 2)), r"answered with an array of 1 × 2; expected an array of 50 × 2 numbers"),
        (lambda texts: ["yes"] * len(texts), "answered with a list that is no array of numbers; expected an array"),
        (lambda texts: None, "answered with a NoneType that is no array of numbers|an array of ; expected an array"),
        (lambda texts: np.full((len(texts), 2), np.nan), r"said \[nan, nan\] of 50 of 50 texts, such as '.*finite"),
        (lambda texts: np.full((len(texts), 2), 50.0), "the scores are no probabilities, as they run from 50 to 50, a"),
        (lambda texts: np.full((len(texts), 2), -1.0), "does not know this task"),
    ],
)  # fmt: skip
def test_answers_that_are_none_are_told(answer: Any, says: str, tmp_path: Path) -> None:
    texts, labels = corpus(500)
    with pytest.raises(ModelError, match=says):
        stepdown.distill(texts, labels, teacher=answer, student=12_000, out=tmp_path / "run")
    assert not (tmp_path / "run" / "cells").exists()


def test_a_function_may_answer_with_logits_of_one_column_or_a_tensor(tmp_path: Path) -> None:
    texts, labels = corpus(400)

    def odds(texts: list[str]) -> Any:
        import torch

        p = torch.tensor(scores(texts), requires_grad=True)
        return torch.log(p[:, 1]) - torch.log(p[:, 0])

    done = stepdown.distill(
        texts, labels, teacher=odds, scores="logits", student=12_000, out=tmp_path / "run"
    )
    assert done.results["cells"][0]["metrics"]["accuracy"]["value"] == 1
    assert done.results["cells"][0]["model"].endswith("<locals>.odds")


def test_a_function_of_pairs_gets_tuples(tmp_path: Path) -> None:
    first, labels = corpus(400)
    pairs = [(f"word{at % 60}", text) for at, text in enumerate(first)]

    def ask(given: list[tuple[str, str]]) -> list[list[float]]:
        return scores([second for _, second in given])

    done = stepdown.distill(pairs, labels, teacher=ask, student=12_000, views=2, out=tmp_path / "run")
    assert done.classifier().predict([("word1", "good word2")]) == ["positive"]
    [views] = done.results["data"]["transfer_facts"]["sources"]
    assert views["source"] == "views of train"
    assert views["kept"] > 100


def test_what_is_no_teacher_is_refused(tmp_path: Path) -> None:
    texts, labels = corpus(400)
    for teacher in (3, [], [scores, "a folder"]):
        with pytest.raises(
            ModelError, match="expected a hub id, a folder, a built-in, a list of these, or one func"
        ):
            stepdown.distill(texts, labels, teacher=teacher, out=tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="which has no layers to copy"):
        stepdown.distill(texts, labels, teacher=scores, student="teacher:2", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- without labels -----------------------------------------------------------------------------------------------


def test_a_function_teaches_from_texts_alone(tmp_path: Path) -> None:
    texts = corpus(600)[0]
    done = stepdown.distill(
        texts, teacher=scores, label_names=["bad", "good"], student=12_000, out=tmp_path / "run"
    )
    found = done.results
    results.validate(found)
    assert (found["metric"], found["selection_metric"]) == ("agreement", "agreement")
    assert found["data"]["judged_by"] == {"selection": "teacher", "report": "teacher"}
    assert (found["data"]["labelled"], found["data"]["train"]) == (0, 480)
    teacher, student = found["cells"]
    assert teacher["metrics"] == {}
    assert {"agreement", "kl", "ms_per_text"} == set(student["metrics"])
    assert student["metrics"]["agreement"]["value"] > 0.9
    assert found["summary"]["accuracy"] == student["metrics"]["agreement"]
    assert found["comparisons"] == []
    assert done.classifier().predict(["word1 good word2", "dull word3"]) == ["good", "bad"]
    table = " ".join(done.table().split())
    assert "agreement with the teacher (95% interval)" in table
    assert "No report text has a label" in table
    assert "480 training texts, none of them labelled" in table
    assert "Agreement with the teacher on 60 texts kept aside" in done.classifier().card
    with pytest.raises(
        DataError, match="the teacher is a function, so nobody says what the labels are called"
    ):
        stepdown.distill(texts, teacher=scores, out=tmp_path / "other")


def test_labelled_texts_measure_what_is_learnt_from_others(tmp_path: Path) -> None:
    texts, held_out = corpus(600)[0], corpus(120, 5)
    done = stepdown.distill(
        texts,
        teacher=scores,
        label_names=["negative", "positive"],
        validation=held_out,
        student=12_000,
        seeds=2,
        out=tmp_path / "run",
    )
    found = done.results
    assert (found["metric"], found["selection_metric"]) == ("accuracy", "agreement")
    assert found["data"]["judged_by"] == {"selection": "teacher", "report": "labels"}
    assert found["data"]["report"] == 120
    teacher, *students = found["cells"]
    assert teacher["metrics"]["accuracy"]["value"] == 1
    assert teacher["selection_metrics"] == {}
    assert all(student["metrics"]["accuracy"]["value"] > 0.9 for student in students)
    table = " ".join(done.table().split())
    assert "No selection text has a label: of the students the one that agrees best" in table
    assert "Mean over 2 seeds trained alike" in done.classifier().card


def test_a_function_of_numbers_teaches_without_labels(tmp_path: Path) -> None:
    def stars(texts: list[str]) -> list[float]:
        return [1000.0 + 100 * (q - p) for p, q in scores(texts)]

    texts = corpus(600)[0]
    done = stepdown.distill(texts, teacher=stars, task="regression", student=12_000, out=tmp_path / "run")
    assert done.results["metric"] == "pearson"
    assert done.results["cells"][1]["metrics"]["pearson"]["value"] > 0.9
    low, high = done.classifier().predict(["word1 dull word2 word3", "word1 good word2 word3"])
    assert 850 < low < 1000 < high < 1150
    assert "Pearson's correlation with the teacher's numbers" in done.table()


def test_words_of_an_encoder_in_the_cache_lend_their_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A toy stands for demo:minilm-l6, in the cache and then no longer."""
    encoder = make_teacher(tmp_path / "encoder")
    there: list[Path] = [encoder]
    monkeypatch.setattr("stepdown.assets.cached", lambda name: there[0] if there else None)
    described = wanted({"source": write(tmp_path / "data.jsonl", rows(400))})
    described["compare"] = {"arms": ["one-hop"], "seeds": 1}
    done = stepdown.run(described, tmp_path / "run")
    assert "embeddings begin from demo:minilm-l6" in " ".join(done.table().split())
    prepared = building.load_prepared(tmp_path / "run" / "prepared" / "rung1")
    assert prepared is not None
    entries = ("[PAD]", "[UNK]", *prepared.words.entries)
    model = huggingface.load(encoder, max_length=32).model
    counts = [1] * len(entries)
    same = embeddings.from_encoder(model, entries, counts, prepared.shape.width, precision=torch.float32)
    # Their weights differ by the words' counts, which turns the components a little.
    assert abs(np.corrcoef(same[:, 0], prepared.initial[:, 0])[0, 1]) > 0.5
    there.clear()
    # What the run began with stays what it is; a new one begins at random.
    assert worked(described, tmp_path / "run") == []
    with pytest.raises(InputError, match="is no longer in the cache, so it cannot go on as it began"):
        worked({**described, "rungs": [{"model": "bag", "max_params": 12_000}]}, tmp_path / "run")
    other = stepdown.run(described, tmp_path / "other")
    assert "embeddings begin at random" in " ".join(other.table().split())


def test_random_embeddings_are_the_same_every_time() -> None:
    first, second = (embeddings.at_random(["a", "b", "c"], [1, 2, 3], 8) for _ in range(2))
    assert first.shape == (3, 8)
    assert np.array_equal(first, second)
    assert 0.05 < first.std() < 0.2


@pytest.mark.slow  # two processes that load torch
def test_two_processes_learn_from_ready_soft_labels_together(tmp_path: Path) -> None:
    write(tmp_path / "more.jsonl", rows(200, 4, labelled=False))
    described = wanted(
        {"source": write(tmp_path / "data.jsonl", rows(300))},
        transfer={"unlabeled": str(tmp_path / "more.jsonl")},
    )
    path, out = tmp_path / "recipe.toml", tmp_path / "run"
    path.write_text(recipe.dump(recipe.parse(described)), encoding="utf-8")
    run_by_two(path, out)
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [cell["id"] for cell in found["cells"]] == ["teacher", "rung1-direct-seed0", "rung1-one-hop-seed0"]
    assert found["data"]["transfer"] > found["data"]["train"]
    assert min(cell["metrics"]["accuracy"]["value"] for cell in found["cells"]) > 0.8
