"""A teacher's labels are matched with the data's, or refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from stepdown.data import Split
from stepdown.data.task import Task
from stepdown.errors import CheckError, ModelError
from stepdown.matching import align
from stepdown.students import heads, huggingface
from stepdown.students.model import TextModel, logits
from stepdown.tasks import TaskKind
from stepdown.teacher import fine_tune, for_two_classes, in_unit_of, line_to_unit, reorder, require_kind
from stepdown.train import Schedule
from tests.conftest import make_teacher

LABELS = np.array([0, 1, 1, 0] * 25)
NOTHING = np.zeros((len(LABELS), 2), np.float32)


def saying(*order: int) -> np.ndarray:
    """Logits of a teacher that is right, whose outputs stand for these labels."""
    return np.eye(len(order), dtype=np.float32)[np.argsort(order)][LABELS]


def test_names_decide_whatever_their_case_and_order() -> None:
    assert align(["POSITIVE", "Negative"], ["negative", "positive"], None, NOTHING, LABELS).tolist() == [1, 0]


def test_names_that_are_none_are_matched_by_agreement() -> None:
    names = ["LABEL_0", "LABEL_1"]
    assert align(names, ["no", "yes"], None, saying(0, 1), LABELS).tolist() == [0, 1]
    assert align(names, ["no", "yes"], None, saying(1, 0), LABELS).tolist() == [1, 0]


def test_a_teacher_that_agrees_with_no_order_is_refused() -> None:
    coin = np.random.default_rng(0).normal(size=(len(LABELS), 2)).astype(np.float32)
    with pytest.raises(ModelError, match="no order of them is clearly the data's"):
        align(["LABEL_0", "LABEL_1"], ["no", "yes"], None, coin, LABELS)


def test_a_map_decides_before_names() -> None:
    order = align(["a", "b"], ["no", "yes"], {"a": "yes", "b": "no"}, NOTHING, LABELS)
    assert order.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("label_map", "says"),
    [
        ({"a": "no"}, "leaves labels of the data without one: yes"),
        ({"a": "no", "c": "yes"}, "names labels that the teacher lacks: c"),
        ({"a": "no", "b": "no"}, "gives several of the teacher's labels to one of the data's: no"),
        ({"a": "no", "b": "maybe"}, "names labels that the data lacks: maybe"),
    ],
)
def test_a_map_that_is_no_match_is_refused(label_map: dict[str, str], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        align(["a", "b"], ["no", "yes"], label_map, NOTHING, LABELS)


@pytest.mark.parametrize("sets", [None, np.eye(2, dtype=np.float32)[LABELS]])
def test_a_map_takes_some_of_a_teachers_labels(sets: np.ndarray | None) -> None:
    """Whether labels exclude each other or not: the outputs that it names are those of the data."""
    said = np.zeros((len(LABELS), 4), np.float32)
    names = ["a", "b", "c", "d"]
    order = align(names, ["no", "yes"], {"d": "no", "b": "yes"}, said, LABELS, sets)
    assert order.tolist() == [3, 1]


@pytest.mark.parametrize("kind", ["single-label", "multi-label"])
def test_the_outputs_that_are_left_say_what_they_said(tmp_path: Path, kind: TaskKind) -> None:
    found = a_teacher(tmp_path / "t", 4, kind)
    before = logits(found, found.encode(TEXTS))
    kept = reorder(found, np.array([3, 1]), ["no", "yes"])
    assert kept.label_names == ("no", "yes")
    assert np.abs(logits(kept, kept.encode(TEXTS)) - before[:, [3, 1]]).max() < 1e-6
    # As it is kept on disk, too.
    (tmp_path / "again").mkdir()
    huggingface.save(kept, tmp_path / "again")
    again = huggingface.load(tmp_path / "again", max_length=32).model
    assert (again.task, again.label_names) == (kind, ("no", "yes"))


@pytest.mark.parametrize("sets", [None, np.eye(3, dtype=np.float32)[LABELS]])
def test_fewer_labels_than_the_data_are_refused_with_the_reason(sets: np.ndarray | None) -> None:
    with pytest.raises(
        ModelError, match=r"knows 2 labels .* and the data has 3 .* take the others out of the data"
    ):
        align(["a", "b"], ["no", "yes", "maybe"], None, NOTHING, LABELS, sets)
    label_map = {"a": "no", "b": "yes"}
    with pytest.raises(
        ModelError, match=r"leaves labels of the data without one: maybe\. .* nothing can be learnt"
    ):
        align(["a", "b"], ["no", "yes", "maybe"], label_map, NOTHING, LABELS, sets)


def test_several_labels_as_one_are_refused_with_the_reason() -> None:
    label_map = {"a": "no", "b": "no", "c": "yes"}
    with pytest.raises(
        ModelError, match=r"several of the teacher's labels to one of the data's: no\. .*`stepdown label`"
    ):
        align(["a", "b", "c"], ["no", "yes"], label_map, np.zeros((100, 3), np.float32), LABELS)


def test_another_number_of_labels_or_other_names_are_refused() -> None:
    with pytest.raises(ModelError, match="knows 3 labels"):
        align(["a", "b", "c"], ["no", "yes"], None, NOTHING, LABELS)
    with pytest.raises(ModelError, match="are not the data's"):
        align(["a", "b"], ["no", "yes"], None, NOTHING, LABELS)


def test_a_reordered_teacher_says_the_same_in_the_other_order(tmp_path) -> None:
    found = huggingface.load(make_teacher(tmp_path / "encoder"), ["a", "b", "c"], max_length=32).model
    texts = ["good word1", "bad word2 word3"]
    before = logits(found, found.encode(texts))
    after = reorder(found, np.array([2, 0, 1]), ["x", "y", "z"])
    assert after.label_names == ("x", "y", "z")
    assert np.abs(logits(after, after.encode(texts)) - before[:, [2, 0, 1]]).max() < 1e-6


TEXTS = ["good word1", "bad word2 word3", "word4", "great fine word5 word6"]


def a_teacher(folder: Path, outputs: int, task: TaskKind) -> TextModel:
    """A classifier of that kind as it comes back from disk."""
    made = huggingface.load(
        make_teacher(folder), [f"l{i}" for i in range(outputs)], max_length=32, task=task
    ).model
    kept = folder / "kept"
    kept.mkdir()
    huggingface.save(made, kept)
    found = huggingface.load(kept, max_length=32)
    assert found.has_head
    return found.model


def a_task(kind: TaskKind, outputs: int) -> Task:
    return Task(kind, tuple(f"l{i}" for i in range(outputs)), np.eye(outputs, dtype=np.float32))


@pytest.mark.parametrize(
    ("kind", "outputs"), [("single-label", 3), ("multi-label", 3), ("regression", 1), ("single-label", 2)]
)
def test_a_model_keeps_its_kind_on_disk(tmp_path: Path, kind: TaskKind, outputs: int) -> None:
    found = a_teacher(tmp_path / "t", outputs, kind)
    assert found.task == kind
    require_kind(found, a_task(kind, outputs))


@pytest.mark.parametrize(
    ("taught", "outputs", "asked", "labels", "says"),
    [
        (
            "regression",
            1,
            "single-label",
            3,
            "for predicting a number, and the data is for one of several labels",
        ),
        ("regression", 1, "single-label", 2, "for predicting a number"),
        (
            "multi-label",
            3,
            "single-label",
            3,
            "for any number of labels a text, and the data is for one of several",
        ),
        (
            "single-label",
            3,
            "regression",
            1,
            "for one of several labels a text, and the data is for predicting a",
        ),
        (
            "regression",
            1,
            "multi-label",
            3,
            "for predicting a number, and the data is for any number of labels",
        ),
    ],
)
def test_a_teacher_for_another_kind_of_task_is_refused(
    tmp_path: Path, taught: TaskKind, outputs: int, asked: TaskKind, labels: int, says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        require_kind(a_teacher(tmp_path / "t", outputs, taught), a_task(asked, labels))


def test_one_output_for_two_classes_is_the_log_odds_of_the_second(tmp_path: Path) -> None:
    single = huggingface.load(make_teacher(tmp_path / "t"), ["LABEL_0"], max_length=32).model
    require_kind(single, a_task("single-label", 2))
    before = logits(single, single.encode(TEXTS))
    both = for_two_classes(single, ("no", "yes"))
    after = logits(both, both.encode(TEXTS))
    assert after.shape == (4, 2)
    assert np.abs(after[:, 1] - after[:, 0] - before[:, 0]).max() < 1e-6


def test_numbers_in_another_unit_are_brought_into_the_datas(tmp_path: Path) -> None:
    found = a_teacher(tmp_path / "t", 1, "regression")
    said = np.tile(logits(found, found.encode(TEXTS))[:, 0], 3)
    truth = 5 * said + 2
    scaled, note = in_unit_of(found, said, truth, "score")
    assert scaled.label_names == ("score",)
    assert "5 · number + 2" in (note or "")
    assert np.abs(np.tile(logits(scaled, scaled.encode(TEXTS))[:, 0], 3) - truth).max() < 1e-4
    same, note = in_unit_of(found, said, said + np.tile([0.1, -0.1], 6) * said.std(), "score")
    assert note is None
    assert same.network is found.network


def test_two_texts_tell_no_unit() -> None:
    """There is a line through any two points."""
    assert line_to_unit(np.array([1.0, 2.0]), np.array([1.1, 1.9])) is None
    said = np.arange(10.0)
    assert line_to_unit(said, 5 * said) == pytest.approx((5, 0))


def test_a_teacher_of_numbers_whose_training_diverges_is_told_so(tmp_path: Path) -> None:
    model = a_teacher(tmp_path / "t", 1, "regression")
    with torch.no_grad():
        heads.linear_head(model).weight.fill_(np.inf)
    numbers = np.arange(len(TEXTS), dtype=np.float32)[:, None]
    split = Split(TEXTS, np.arange(len(TEXTS)))
    with pytest.raises(CheckError, match=r"not finite.*try a lower learning rate"):
        fine_tune(
            model,
            split,
            split,
            Task("regression", ("score",), numbers),
            Schedule(1, 4, 1e-3),
            accelerator=Accelerator(cpu=True),
            precision=torch.float32,
            on_event=lambda event: None,
        )


def test_sets_of_labels_without_names_are_matched_by_agreement() -> None:
    rng = np.random.default_rng(0)
    sets = (rng.random((300, 3)) < [0.5, 0.2, 0.1]).astype(np.float32)
    said = (4 * sets[:, [2, 0, 1]] - 2).astype(np.float32)
    names = ["LABEL_0", "LABEL_1", "LABEL_2"]
    labels = np.arange(300)
    assert align(names, ["a", "b", "c"], None, said, labels, sets).tolist() == [1, 2, 0]
    with pytest.raises(ModelError, match="no order of them is clearly the data's"):
        align(names, ["a", "b", "c"], None, rng.normal(size=(300, 3)).astype(np.float32), labels, sets)
