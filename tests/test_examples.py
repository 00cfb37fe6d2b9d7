"""Lists of texts and labels become data of the task that they mean."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepdown
from stepdown import data, examples
from stepdown.data import Dataset
from stepdown.errors import DataError
from stepdown.recipe import DataSpec
from stepdown.tasks import parts

TEXTS = [f"text {at} of {at * 7 % 100} other texts, {at * 13 % 100}" for at in range(100)]


def read(folder: Path, texts: Any, labels: Any, unlabeled: Any = (), **spec: Any) -> Dataset:
    content, columns = examples.written(texts, labels, unlabeled)
    (folder / "a.jsonl").write_text(content, encoding="utf-8")
    named = {key: tuple(value) if isinstance(value, list) else (value,) for key, value in columns.items()}
    return data.load(DataSpec(source=str(folder / "a.jsonl"), **named, **spec), 0)


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["no", "yes"] * 50, "single-label", ("no", "yes")),
        ([1, 2] * 50, "single-label", ("1", "2")),
        (np.array([0, 1] * 50), "single-label", ("0", "1")),
        ([1.0, 2.0] * 50, "single-label", ("1", "2")),
        ([at / 10 for at in range(100)], "regression", ("label",)),
        (list(np.arange(100, dtype=np.float32) / 8), "regression", ("label",)),
        ([["a"], ["b", "a"], [], None] * 25, "multi-label", ("a", "b")),
        ([{"a"}, ("b", "a")] * 50, "multi-label", ("a", "b")),
    ],
)
def test_labels_say_what_the_task_is(labels: Any, kind: str, names: tuple[str, ...], tmp_path: Path) -> None:
    found = read(tmp_path, TEXTS, labels)
    assert found.task.kind == kind
    assert found.task.label_names == names
    assert len(found.unlabeled) == sum(label is None for label in labels)


def test_whole_numbers_are_predicted_where_the_caller_says_so(tmp_path: Path) -> None:
    found = read(tmp_path, TEXTS, [*range(100)], task="regression")
    assert found.task.answers[:, 0].tolist() == list(range(100))


def test_pairs_are_tuples(tmp_path: Path) -> None:
    found = read(
        tmp_path, [(text, text[::-1]) for text in TEXTS], ["x", "y"] * 50, [("more", "text"), ["a", "b"]]
    )
    assert found.task.is_pair
    assert parts(found.train.texts[0])[1] == parts(found.train.texts[0])[0][::-1]
    assert [parts(text) for text in found.unlabeled] == [("more", "text"), ("a", "b")]


@pytest.mark.parametrize(
    ("texts", "labels", "unlabeled", "expected"),
    [
        ("a text", ["x"], (), r"\[text\]"),
        (["a", "b"], ["x"], (), "2 texts and 1 labels"),
        (["a", ("b", "c")], ["x", "y"], (), r"texts\[1\] is \('b', 'c'\); expected a string"),
        ([("b", "c"), "a"], ["x", "y"], (), r"texts\[1\] is 'a'; expected a tuple of two strings"),
        ([("b", "c", "d")], ["x"], (), r"texts\[0\] is .*; expected a tuple of two"),
        ([("b", "c")], ["x"], ["a"], r"unlabeled\[0\] is 'a'; expected a tuple of two"),
        (["a", None], ["x", "y"], (), r"texts\[1\] is None; expected a string"),
        (["a", "b"], [["x"], "y"], (), r"labels\[1\] is 'y', others are lists of labels; expected \['y'\]"),
        (["a"], [[1]], (), r"labels\[0\] is \[1\]; expected the names of labels in it"),
        (["a"], [{"x": 1}], (), r"labels\[0\] is {'x': 1}; expected a string, a number"),
        (["a"], [np.array([0, 1])], (), r"labels\[0\] is array\(.*; expected a string, a number"),
    ],
)
def test_what_does_not_fit_together_is_said(
    texts: Any, labels: Any, unlabeled: Any, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=expected):
        stepdown.distill(texts, labels, unlabeled=unlabeled, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
