"""What a bundle says of itself, and answers, for every kind of task, of single texts and of pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from hypothesis import given
from hypothesis import strategies as st

from stepdown import outputs, tasks
from stepdown.errors import BundleError, InputError
from stepdown.runtime import About, Bundle, Calibration, Classifier, LongTexts, bundle
from stepdown.runtime.about import decode, encode
from stepdown.tokens import BertWordPiece

LABELS = ("praise", "blame", "question", "thanks")
THRESHOLDS = (0.43, 0.6, 0.5, 0.6)
SEVERAL = tiny_bundle.about(LABELS, task="multi-label", thresholds=THRESHOLDS)
NUMBER = tiny_bundle.about(("stars",), task="regression")
PAIRS = tiny_bundle.about(is_pair=True)
TEXTS = ["good movie!", "not a bad movie.", "the", "", "good " * 40, "do n't"]


def classifier(folder: Path, says: About) -> Classifier:
    return Classifier(tiny_bundle.bundle_of(folder, says))


def expected_logits(texts: Sequence[str], outputs: int) -> np.ndarray:
    """What the tiny network says of strings as the tokenizer is given them, computed by hand."""
    table, matrix = tiny_bundle.weights(labels=outputs)
    encoded = tiny_bundle.WORDS.encode(texts, 16)
    spans = zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)
    return np.stack([table[encoded.ids[a:b]].mean(0) @ matrix for a, b in spans])


# --- bundle.json ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "says",
    [
        SEVERAL,
        NUMBER,
        PAIRS,
        replace(SEVERAL, is_pair=True),
        replace(NUMBER, is_pair=True),
        replace(SEVERAL, calibration=Calibration()),
        replace(SEVERAL, calibration=Calibration(1.5, "selection", 10, (0.0, 1.0, 0.5, 1e-9))),
        tiny_bundle.about(("only",), task="multi-label", thresholds=(0.5,)),
        replace(NUMBER, long_texts=LongTexts(5, "sentences")),
    ],
)
def test_what_is_written_is_read(says: About, tmp_path: Path) -> None:
    bundle.write(tmp_path / "b", says, tiny_bundle.bundle_of(tmp_path, says).files)
    assert bundle.read(tmp_path / "b").about == says
    found = Classifier.load(tmp_path / "b")
    assert (found.task, found.is_pair, found.label_names) == (says.task, says.is_pair, says.label_names)


def test_the_keys_of_the_file(tmp_path: Path) -> None:
    files = tiny_bundle.bundle_of(tmp_path, SEVERAL).files
    said = json.loads(encode(replace(SEVERAL, is_pair=True), files))
    assert said["task"] == {"kind": "multi-label", "texts": 2, "label_names": list(LABELS)}
    assert said["calibration"] == {
        "temperature": 2.0,
        "split": "selection",
        "n": 100,
        "thresholds": list(THRESHOLDS),
    }
    said = json.loads(encode(tiny_bundle.about(), files))
    assert said["task"] == {"kind": "single-label", "texts": 1, "label_names": list(tiny_bundle.LABELS)}
    assert "thresholds" not in said["calibration"]
    said = json.loads(encode(NUMBER, files))
    assert said["task"] == {"kind": "regression", "texts": 1, "label_names": ["stars"]}
    assert said["calibration"] is None


def read_back(says: About, changes: Mapping[str, Any]) -> About:
    """What is read of a bundle that a stranger changed, and gave a digest that fits."""
    document = json.loads(encode(says, {"model.onnx": b"", "words.json": b""}))
    for key, change in changes.items():
        kept = document.get(key) or {}
        document[key] = {**kept, **change} if isinstance(change, dict) else change
    document = {key: value for key, value in document.items() if value != "left out"} | {"digest": "0" * 64}
    made = json.dumps(document, indent=2).encode()
    return decode(made.replace(b"0" * 64, hashlib.sha256(made).hexdigest().encode(), 1), "it")[0]


def test_older_bundles_read_one_text() -> None:
    names = {"kind": "single-label", "label_names": ["a", "b"]}
    document = json.loads(encode(tiny_bundle.about(), {"model.onnx": b"", "words.json": b""}))
    del document["task"]["texts"]
    made = json.dumps(document | {"task": names, "digest": "0" * 64}, indent=2).encode()
    content = made.replace(b"0" * 64, hashlib.sha256(made).hexdigest().encode(), 1)
    assert b'"texts"' not in content
    found = decode(content, "it")[0]
    assert (found.task, found.is_pair, found.calibration.thresholds) == ("single-label", False, None)
    assert read_back(NUMBER, {"calibration": "left out"}).calibration == Calibration()


MANY_DIGITS = 10**400


@pytest.mark.parametrize(
    ("says", "changes", "told"),
    [
        (SEVERAL, {"task": {"kind": "ranking"}}, "'kind' is 'ranking'; expected one of single-label, multi-"),
        (SEVERAL, {"task": {"kind": None}}, "'kind' is None"),
        (SEVERAL, {"task": {"texts": 3}}, "'texts' is 3; expected a whole number from 1 to 2"),
        (SEVERAL, {"task": {"texts": 0}}, "'texts' is 0"),
        (SEVERAL, {"task": {"texts": True}}, "'texts' is True"),
        (SEVERAL, {"task": {"texts": "2"}}, "'texts' is '2'"),
        (SEVERAL, {"task": {"label_names": []}}, "a list of 1 or more different texts"),
        (SEVERAL, {"task": {"label_names": ["a", "a", "b", "c"]}}, "different texts"),
        (SEVERAL, {"calibration": {"thresholds": [0.5]}}, "expected a list of 4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": [0.5] * 5}}, "expected a list of 4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": [0.5, 0.5, 0.5, 1.01]}}, "4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": [-0.01, 0.5, 0.5, 0.5]}}, "4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": [True, 0.5, 0.5, 0.5]}}, "4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": ["0.5", 0.5, 0.5, 0.5]}}, "4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": [MANY_DIGITS, 0.5, 0.5, 0.5]}}, "4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"thresholds": 0.5}}, "4 numbers from 0 to 1"),
        (SEVERAL, {"calibration": {"temperature": MANY_DIGITS}}, "'temperature' is 1000"),
        (SEVERAL, {"calibration": None}, "'calibration' is None; expected an object"),
        (NUMBER, {"task": {"label_names": ["a", "b"]}}, "expected one name, of the number"),
        (NUMBER, {"calibration": {"temperature": 2}}, "none, for a regression has no probabilities"),
        (tiny_bundle.about(), {"task": {"label_names": ["a"]}}, "a list of 2 or more"),
        (
            tiny_bundle.about(),
            {"calibration": {"thresholds": [0.5] * 3}},
            "none, for the most probable label",
        ),
        (
            PAIRS,
            {"long_texts": {"above": 5, "read": "sentences"}},
            "pairs of texts are not read by their sen",
        ),
    ],
)
def test_what_cannot_be_is_told(says: About, changes: Mapping[str, Any], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        read_back(says, changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_threshold_that_cannot_be_is_not_written(value: float) -> None:
    with pytest.raises(BundleError):
        encode(tiny_bundle.about(("a", "b"), task="multi-label", thresholds=(0.5, value)), {})


def test_a_calibration_of_a_regression_is_not_written() -> None:
    with pytest.raises(BundleError, match="no probabilities"):
        encode(replace(NUMBER, calibration=Calibration(2.0)), {"model.onnx": b"", "words.json": b""})


def test_a_network_that_says_another_number_of_things_is_refused(tmp_path: Path) -> None:
    files = tiny_bundle.bundle_of(tmp_path, SEVERAL).files
    with pytest.raises(BundleError, match=r"shape \(2, 4\); expected finite ones of shape \(2, 1\)"):
        Classifier(Bundle(NUMBER, files))


# --- several labels -------------------------------------------------------------------------------------------------


def test_labels_apply_each_by_itself(tmp_path: Path) -> None:
    asked = classifier(tmp_path, SEVERAL)
    probabilities = 1 / (1 + np.exp(-expected_logits(TEXTS, 4) / 2.0))
    found = asked.predict_proba(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, probabilities, atol=1e-6)
    said = asked.predict(TEXTS)
    for names, row in zip(said, probabilities, strict=True):
        ranked = np.argsort(-row)
        assert names == [LABELS[index] for index in ranked if row[index] >= THRESHOLDS[index]]
    assert {len(names) for names in said if isinstance(names, list)} == {0, 1, 2}
    chosen = asked.decisions(asked.logits(TEXTS))
    assert chosen.dtype == np.float32
    assert [{LABELS[i] for i in np.flatnonzero(row)} for row in chosen] == [set(names) for names in said]  # type: ignore[arg-type]
    assert asked.predict([]) == []
    assert asked.predict_proba([]).shape == (0, 4)


def test_a_label_applies_at_its_threshold_and_not_below(tmp_path: Path) -> None:
    loose = replace(SEVERAL, calibration=Calibration(thresholds=(0.5,) * 4))
    shares = classifier(tmp_path, loose).predict_proba(["good movie"])[0]
    above = tuple(float(np.nextafter(share, np.float32(1))) for share in shares)
    for thresholds, count in ((tuple(map(float, shares)), 4), (above, 0)):
        asked = classifier(tmp_path, replace(SEVERAL, calibration=Calibration(thresholds=thresholds)))
        assert asked.predict(["good movie"]) == [
            [LABELS[index] for index in np.argsort(-shares)] if count else []
        ]
    # A threshold in decimals is taken as the float32 that stands for it, as numpy compares them.
    seven = np.full((1, 4), np.float32(0.7))
    asked = classifier(tmp_path, replace(SEVERAL, calibration=Calibration(thresholds=(0.7,) * 4)))
    assert asked.sets(seven) == [list(LABELS)]
    assert (seven >= 0.7).all()


def test_thresholds_at_the_ends_and_those_that_are_not_told(tmp_path: Path) -> None:
    ends = replace(SEVERAL, calibration=Calibration(thresholds=(0.0, 1.0, 0.0, 1.0)))
    assert set(classifier(tmp_path, ends).predict(["good"])[0]) == {"praise", "question"}
    asked = classifier(tmp_path, replace(SEVERAL, calibration=Calibration()))
    assert asked.thresholds == (0.5,) * 4
    np.testing.assert_array_equal(asked.decisions(asked.logits(TEXTS)), asked.logits(TEXTS) >= 0)


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=5), st.floats(1e-3, 1e3))
def test_probabilities_are_sound_whatever_the_logits(logits: list[float], temperature: float) -> None:
    row = np.array([logits], np.float32)
    for kind in ("single-label", "multi-label"):
        found = outputs.probabilities(kind, row, temperature)  # type: ignore[arg-type]
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert (found <= 1).all()
    assert (outputs.probabilities("multi-label", np.zeros((1, 2), np.float32), temperature) == 0.5).all()


# --- numbers --------------------------------------------------------------------------------------------------------


def test_a_regression_answers_with_numbers(tmp_path: Path) -> None:
    asked = classifier(tmp_path, NUMBER)
    said = asked.predict(TEXTS)
    assert all(type(value) is float for value in said)
    np.testing.assert_allclose(said, expected_logits(TEXTS, 1)[:, 0], atol=1e-5)
    np.testing.assert_array_equal(np.float32(said), asked.logits(TEXTS)[:, 0])
    np.testing.assert_array_equal(asked.decisions(asked.logits(TEXTS)), asked.logits(TEXTS))
    assert asked.thresholds == ()
    for ask in (asked.predict_proba, lambda texts: asked.probabilities(asked.logits(texts))):
        with pytest.raises(InputError, match=r"predicts a number, 'stars'.*Use predict"):
            ask(TEXTS)


def test_long_texts_of_a_regression_are_the_mean_of_their_sentences(tmp_path: Path) -> None:
    asked = classifier(tmp_path, replace(NUMBER, long_texts=LongTexts(3, "sentences")))
    cut = expected_logits(["Good movie!", "Not bad."], 1).mean()
    assert asked.predict(["Good movie! Not bad."]) == pytest.approx([cut], abs=1e-5)


@pytest.mark.parametrize("value", [3.3, -0.0, 1e-9, 2.5e8, 1e30, 0.1])
def test_numbers_are_told_with_the_digits_that_they_have(value: float) -> None:
    assert outputs.values(np.array([[value]], np.float32)) == [value]


# --- pairs ----------------------------------------------------------------------------------------------------------

TWO = [("good movie", "not bad"), ("", "the"), ("the", ""), ("", ""), ("good " * 30, "bad")]


def test_pairs_are_read_as_the_tokenizer_takes_them(tmp_path: Path) -> None:
    asked = classifier(tmp_path, PAIRS)
    strings = [tasks.joined(*pair) for pair in TWO]
    np.testing.assert_allclose(asked.logits(TWO), expected_logits(strings, 3), atol=1e-5)
    np.testing.assert_array_equal(asked.logits([list(pair) for pair in TWO]), asked.logits(TWO))
    assert asked.read(TWO)[1].tolist() == tiny_bundle.WORDS.encode(strings, 16).truncated.tolist()
    assert asked.predict(TWO) == [asked.label_names[index] for index in asked.logits(TWO).argmax(1)]
    assert asked.predict_proba(TWO).shape == (5, 3)
    assert asked.predict([]) == []


def test_the_separator_within_a_text_is_a_space(tmp_path: Path) -> None:
    words = BertWordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "movie", "goodbad"])
    table, matrix = tiny_bundle.weights()
    words.save(tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in words.spec()["files"]}
    files["model.onnx"] = tiny_bundle.model(table[: words.vocab_size], matrix).SerializeToString()
    for is_pair in (False, True):
        asked = Classifier(Bundle(replace(tiny_bundle.about(is_pair=is_pair), tokenizer=words.spec()), files))
        with_sign: list[Any] = [("good\x1fbad", "mo\x1fvie")] if is_pair else ["good\x1fbad"]
        with_space: list[Any] = [("good bad", "mo vie")] if is_pair else ["good bad"]
        glued: list[Any] = [("goodbad", "movie")] if is_pair else ["goodbad"]
        np.testing.assert_array_equal(asked.logits(with_sign), asked.logits(with_space))
        assert (asked.logits(with_sign) != asked.logits(glued)).any()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("a bare text", r"Expected a list of pairs of texts, found one text\. This model reads pairs"),
        (("first", "second"), r"found one pair\. For a single one, pass \[\('first', 'second'\)\]"),
        (
            ["first", "second"],
            r"Pair 0 is one text \('first'\)\. This model reads pairs of texts, each a tuple",
        ),
        ([("a", "b"), "ab"], r"Pair 1 is one text \('ab'\)"),
        ([("a", "b", "c")], r"Pair 0 has 3 texts, not 2: \('a', 'b', 'c'\)"),
        ([("a",)], "Pair 0 has 1 texts, not 2"),
        ([("a", 3)], r"The second text of pair 0 is a int \(3\), not a str"),
        ([(None, "b")], "The first text of pair 0 is a NoneType"),
        ([b"ab"], "Pair 0 is a bytes"),
        ([{"a", "b"}], "Pair 0 is a set"),
        (zip(["a"], ["b"], strict=True), r"found a zip\. Pass list\(…\) of it"),
        (b"ab", "found a bytes"),
    ],
)
def test_what_is_no_list_of_pairs_is_refused(tmp_path: Path, given: Any, told: str) -> None:
    for says in (PAIRS, replace(NUMBER, is_pair=True)):
        with pytest.raises(InputError, match=told):
            classifier(tmp_path, says).predict(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            [("a", "pair")],
            r"Text 0 is a tuple \(\('a', 'pair'\)\), not a str\. This model reads single texts, not",
        ),
        (["a", ["b", "c"]], r"Text 1 is a list .* This model reads single texts"),
        ("bare", r"pass \['bare'\]"),
    ],
)
def test_a_pair_is_refused_where_single_texts_are_read(tmp_path: Path, given: Any, told: str) -> None:
    for says in (SEVERAL, NUMBER):
        with pytest.raises(InputError, match=told):
            classifier(tmp_path, says).predict(given)
