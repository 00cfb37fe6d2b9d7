"""A teacher's labels are matched with the data's, or refused."""

import numpy as np
import pytest

from stepdown.errors import ModelError
from stepdown.students import huggingface
from stepdown.students.model import logits
from stepdown.teacher import align, reorder
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
