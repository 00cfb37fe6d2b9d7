"""A bundle of every kind says what its model says, of any text, whatever is read with it and in whatever order."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown import tasks
from stepdown.runtime import Classifier, network
from stepdown.runtime.inputs import as_strings
from stepdown.students.model import logits
from tests import every_kind

# Of logits whose spread is about one; what docs/bundle.md promises of probabilities is ten times as much and more.
TOLERANCE = 1e-4

kinds = pytest.mark.parametrize("name", every_kind.KINDS)
texts_of_any_kind = st.lists(
    st.one_of(
        st.text(max_size=60),  # halves of surrogate pairs among them
        st.text("good bad't.!😂电ש\u202e\u0301 \x00\x1f", max_size=200),
        st.sampled_from(every_kind.TEXTS),
        st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    ),
    min_size=1,
    max_size=9,
)


def given_to(name: str, texts: list[str]) -> list[Any]:
    """Texts as a bundle of this kind is given them."""
    return list(zip(texts, reversed(texts), strict=True)) if name.endswith("pairs") else texts


def scale(name: str, said: np.ndarray) -> float:
    """Of numbers of any unit, their spread; of logits 1."""
    return float(np.std(said)) + 1.0 if "regression" in name else 1.0


def trained(name: str, texts: list[Any]) -> np.ndarray:
    """What the torch model says, each text alone."""
    model = every_kind.model(name)
    strings = as_strings(texts, is_pair=name.endswith("pairs"))
    return np.concatenate([logits(model, model.encode([text])) for text in strings])


@kinds
def test_it_says_what_the_model_says(name: str) -> None:
    texts = every_kind.texts_for(name)
    found = every_kind.classifier(name).logits(texts)
    assert found.std(0).min() > 1e-2, "texts that it tells apart"
    if "int8" in name or "long-texts" in name:
        return  # which are meant to say something else, if only a little
    expected = trained(name, list(texts))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale(name, expected))
    assert (found.argmax(1) == expected.argmax(1)).all()


@kinds
@settings(max_examples=25)
@given(texts=texts_of_any_kind)
def test_it_says_so_of_any_text(name: str, texts: list[str]) -> None:
    asked = given_to(name, texts)
    found = every_kind.classifier(name).logits(asked)
    assert np.isfinite(found).all()
    if "int8" in name or "long-texts" in name:
        return
    expected = trained(name, asked)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale(name, expected))


@kinds
@settings(max_examples=25)
@given(data=st.data())
def test_batches_padding_and_order_change_nothing(name: str, data: st.DataObject) -> None:
    """Batches of one text and of all, padded not at all and to the longest, in one thread and in two."""
    asked = every_kind.classifier(name)
    texts = list(every_kind.texts_for(name))
    which = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=40))
    expected = alone(name)[which]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_IDS_PER_BATCH", data.draw(st.sampled_from([1, 24, 200, 1 << 20])))
        patch.setattr(network, "_IDS_PER_CALL", data.draw(st.sampled_from([-1, 0, 40, 1 << 40])))
        patch.setattr(network, "_IDS_FOR_THREADS", data.draw(st.sampled_from([0, 1 << 40])))
        patch.setattr(asked._network, "_workers", 2)
        patch.setattr("stepdown.runtime.classifier._WINDOW", data.draw(st.sampled_from([1, 7, 1 << 20])))
        found = asked.logits([texts[index] for index in which])
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * scale(name, expected))


def alone(name: str) -> np.ndarray:
    """What is said of each text by itself."""
    if name not in _ALONE:
        asked: Classifier = every_kind.classifier(name)
        _ALONE[name] = np.concatenate([asked.logits([text]) for text in every_kind.texts_for(name)])
    return _ALONE[name]


_ALONE: dict[str, np.ndarray] = {}


@kinds
def test_the_network_of_every_kind_is_valid_onnx(name: str) -> None:
    made = onnx.load_from_string(every_kind.packed(name).files["model.onnx"])
    onnx.checker.check_model(made, full_check=True)
    assert made.ir_version <= 10
    assert [(opset.domain, opset.version <= 21) for opset in made.opset_import] == [("", True)]


def test_pairs_hold_no_separator_of_their_own() -> None:
    """What is compared is what a user's texts become: the sign between two texts is in neither."""
    assert all(tasks.SEPARATOR not in text for text in as_strings(every_kind.TEXTS, is_pair=False))
