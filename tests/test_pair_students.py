"""Compact students and bags of pairs: their sizes, what they compare, padding, saving, packing and learning."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown import train
from stepdown.export import graphs, integers
from stepdown.recipe.settings import CORES
from stepdown.students import bag, budgets, building, compact, embeddings, families, huggingface, pairs, saved
from stepdown.students.bag import BagShape
from stepdown.students.budgets import Wanted
from stepdown.students.compact import CompactShape
from stepdown.students.families import Shape
from stepdown.students.model import TextModel, logits
from stepdown.tasks import joined
from stepdown.tokens import Words
from tests.conftest import make_teacher
from tests.test_budgets import measured, vocabulary
from tests.test_train import HARD, run

ENTRIES = tuple(f"w{index}" for index in range(400))
KINDS = [*CORES, "bag"]
kinds = st.sampled_from(KINDS)


def shape_for(kind: str, budget: int, words: int, classes: int) -> Shape:
    if kind == "bag":
        return bag.shape_for(budget, words, classes, 50_000, is_pair=True)
    return compact.shape_for(budget, words, classes, kind, is_pair=True)  # type: ignore[arg-type]


def student(kind: str, classes: int = 2) -> TextModel:
    shape = shape_for(kind, 20_000, len(ENTRIES) + 3, classes)
    words = Words(ENTRIES[: shape.vocabulary - 3], pairs=True)
    model = building.untaught(words, shape, [f"label {index}" for index in range(classes)], 32)
    if kind == "bag":  # whose hashed pairs start at zero, and would say nothing here
        torch.manual_seed(1)
        torch.nn.init.normal_(model.network.get_parameter("pairs"))
    return model


def texts(count: int) -> list[str]:
    """Pairs of texts of none to twenty-nine words each."""
    draw = np.random.default_rng(0)
    made = [" ".join(draw.choice(ENTRIES, draw.integers(0, 30))) for _ in range(2 * count)]
    return [joined(*made[2 * index : 2 * index + 2]) for index in range(count)]


# --- sizes ------------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.integers(8_000, 2_000_000), st.integers(50, 60_000), st.integers(1, 150), kinds)
def test_a_budget_is_never_exceeded(budget: int, words: int, classes: int, kind: str) -> None:
    if budget < 200 * classes:
        return  # too small for so many classes, which is refused
    shape = shape_for(kind, budget, words, classes)
    assert shape.parameters <= budget
    assert 3 <= shape.vocabulary <= words


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 2, 77])
def test_the_count_of_the_shape_is_the_count_of_the_network(kind: str, classes: int) -> None:
    for budget in (40_000, 250_000):
        shape = shape_for(kind, budget, 5_000, classes)
        assert sum(p.numel() for p in families.network(shape).parameters()) == shape.parameters


@settings(max_examples=20)
@given(st.integers(50, 8_000), st.integers(10_000, 400_000), kinds)
def test_every_entry_of_a_sized_student_has_a_row(words: int, max_params: int, kind: str) -> None:
    counts = Counter({f"w{index:x}q": max(1, words // (index + 1)) for index in range(words)})
    wanted = Wanted("bag", None, max_params, None, True)
    if kind != "bag":
        wanted = Wanted("compact", kind, max_params, None, True)  # type: ignore[arg-type]
    chosen, shape = budgets.sized(wanted, ["no", "yes"], counts, counts)
    assert chosen.pairs
    assert chosen.vocab_size == shape.vocabulary
    assert shape.parameters <= max_params
    assert shape.is_pair


@pytest.mark.parametrize("kind", KINDS)
def test_a_budget_in_bytes_holds_on_the_disk(kind: str, tmp_path: Path) -> None:
    wanted = Wanted("bag", None, None, 60_000, True)
    if kind != "bag":
        wanted = Wanted("compact", kind, None, 60_000, True)  # type: ignore[arg-type]
    kept, packed = measured(wanted, ["no", "yes"], vocabulary(12_000), tmp_path)
    assert 50_000 <= max(kept, packed) <= 60_000


# --- reading ----------------------------------------------------------------------------------------------------------


def test_pairs_are_taken_apart() -> None:
    ids = torch.tensor([[5, 6, 2, 7, 0], [8, 2, 9, 2, 4], [5, 6, 7, 0, 2], [2, 5, 0, 0, 0]])
    apart, lengths = pairs.split(ids, torch.tensor([4, 5, 3, 2]))
    assert lengths.tolist() == [2, 1, 3, 1, 1, 3, 1, 1]
    own = [row[:length].tolist() for row, length in zip(apart, lengths.tolist(), strict=True)]
    assert own == [[5, 6], [8], [5, 6, 7], [2], [7], [9, 2, 4], [7], [5]]


def test_both_texts_are_compared() -> None:
    both = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    assert pairs.compared(both).tolist() == [[1, 2, 3, -1, 2, 3, 3, -2]]


def test_words_stand_beside_what_the_other_text_has_for_them() -> None:
    """Two pairs: (5 6, 6 7) and (8, 9 1), of which 1 is no entry; ids 0 are padding."""
    table = torch.tensor([[0.0], [0.5], [0.0], [0.0], [0.0], [1.0], [-2.0], [3.0], [0.25], [4.0]])
    ids = torch.tensor([[5, 6], [8, 1], [6, 7], [1, 9]])
    lengths = torch.tensor([2, 1, 2, 2])
    align = pairs.Alignment()
    with torch.no_grad():
        align.sharpness.fill_(1.0)
        align.same.fill_(2.0)
        found = align(table[ids], ids, lengths)
    assert found.shape == (4, 2, pairs.aligned_width(1))
    # The word 6 of the first text against 6 and 7 of the second: scores (-2)(-2) + 2 and (-2)(3).
    weights = torch.tensor([6.0, -6.0]).softmax(0)
    counterpart = float(weights @ torch.tensor([-2.0, 3.0]))
    assert found[0, 1].tolist() == pytest.approx([-2, abs(-2 - counterpart), -2 * counterpart, 1], abs=1e-5)
    # The word 5 is not there: scores 1 · (-2) and 1 · 3, and no bonus.
    counterpart = float(torch.tensor([-2.0, 3.0]).softmax(0) @ torch.tensor([-2.0, 3.0]))
    assert found[0, 0].tolist() == pytest.approx([1, abs(1 - counterpart), counterpart, 0], abs=1e-5)
    # A text of one word is all that its partner can be aligned with, whatever stands in the padding beside it.
    assert found[3, :, 1].tolist() == pytest.approx([0.25, 3.75])
    assert found[3, :, 3].tolist() == [0, 0], "the unknown word is like nothing, not even itself"


def test_alignment_is_the_same_from_either_side() -> None:
    align = pairs.Alignment()
    ids, lengths = torch.randint(3, 20, (6, 5)), torch.tensor([5, 3, 1, 2, 5, 4])
    embedded = torch.randn(20, 4)[ids]
    turned = torch.arange(6).roll(3)
    with torch.no_grad():
        one, other = align(embedded, ids, lengths), align(embedded[turned], ids[turned], lengths[turned])
    assert torch.allclose(one[turned], other, atol=1e-6)


def test_of_a_bag_neither_text_sees_the_other() -> None:
    """What the output reads of a text is the same whatever it is compared with."""
    model = student("bag")
    seen: list[torch.Tensor] = []
    hook = model.network.get_submodule("output").register_forward_pre_hook(
        lambda _, given: seen.append(given[0])
    )
    logits(
        model,
        model.encode([joined("w1 w2 w3", "w4 w5"), joined("w1 w2 w3", "w9"), joined("w4 w5", "w1 w2 w3")]),
    )
    hook.remove()
    rows = torch.cat(seen)
    features = rows.shape[1] // pairs.COMPARED
    by_length = {"one": rows[0], "two": rows[1], "turned": rows[2]}
    # `logits` sorts by length: the pair with fewer words came first.
    assert torch.allclose(by_length["two"][:features], by_length["one"][:features], atol=1e-6)
    first, second = by_length["two"][:features], by_length["two"][features : 2 * features]
    assert torch.allclose(by_length["turned"][:features], second, atol=1e-6)
    assert torch.allclose(by_length["turned"][features : 2 * features], first, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_never_changes_a_pairs_logits(kind: str) -> None:
    network = student(kind).network.eval()
    draw = torch.randint(3, 100, (4, 9))
    for row, place in enumerate((1, 4, 7)):  # and one without
        draw[row, place] = 2
    lengths = torch.tensor([3, 9, 8, 5])
    with torch.inference_mode():
        together = network(draw, lengths)
        alone = [network(draw[i : i + 1, :n], torch.tensor([n])) for i, n in enumerate(lengths.tolist())]
        for value in (0, 2, 7):
            longer = network(torch.nn.functional.pad(draw, (0, 30), value=value), lengths)
            assert torch.allclose(together, longer, atol=1e-6)
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_batches_never_change_what_a_model_says(kind: str) -> None:
    model = student(kind)
    some = texts(300)
    said = logits(model, model.encode(some))
    shuffled = np.random.default_rng(0).permutation(len(some))
    again = logits(model, model.encode([some[index] for index in shuffled]))
    assert np.abs(said[shuffled] - again).max() < 1e-5


# --- on disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_the_exported_graph_says_what_the_network_says(kind: str, classes: int, tmp_path: Path) -> None:
    model = student(kind, classes)
    graphs.write(model, tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    session = onnxruntime.InferenceSession(content)
    small = onnxruntime.InferenceSession(integers.quantised(content, "int8"))
    odd = ["w1 w2", "", "w1", joined("", ""), joined("w1", ""), joined("w5 " * 40, "☃ unheard-of w3")]
    tokens = model.encode([*texts(40), *odd])  # single texts, which nobody should send, among them
    said = logits(model, tokens)
    for rows in (range(len(tokens)), [0], [40], [44, 45]):
        ids, lengths = tokens.pad(np.array(rows), model.tokenizer.pad_id)
        given = {"ids": ids, "lengths": lengths}
        assert np.abs(session.run(None, given)[0] - said[rows]).max() < 1e-5
        assert np.abs(small.run(None, given)[0] - said[rows]).max() < 0.05
        longer = {"ids": np.pad(ids, ((0, 0), (0, 5)), constant_values=2), "lengths": lengths}
        assert np.abs(session.run(None, longer)[0] - said[rows]).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_student_comes_back_the_same(kind: str, tmp_path: Path) -> None:
    model = student(kind, 3)
    saved.save(model, tmp_path)
    again = saved.load(tmp_path)
    assert (again.is_pair, again.description) == (True, model.description)
    assert ("each text of a pair" if kind == "bag" else "aligned pairs of texts") in again.description
    some = texts(20)
    assert np.array_equal(logits(model, model.encode(some)), logits(again, again.encode(some)))


def test_a_student_saved_before_there_were_pairs_reads_single_texts(tmp_path: Path) -> None:
    shape = compact.shape_for(20_000, len(ENTRIES) + 2, 2)
    model = building.untaught(Words(ENTRIES[: shape.vocabulary - 2]), shape, ["no", "yes"], 32)
    saved.save(model, tmp_path)
    about = json.loads((tmp_path / "compact.json").read_text(encoding="utf-8"))
    del about["is_pair"]
    (tmp_path / "compact.json").write_text(json.dumps(about), encoding="utf-8")
    again = saved.load(tmp_path)
    assert not again.is_pair
    assert np.array_equal(logits(again, again.encode(["w1 w2"])), logits(model, model.encode(["w1 w2"])))


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_whether_two_texts_are_alike(kind: str) -> None:
    """Every word is as frequent in one class as in the other, in the first text and in the second."""
    words = Words(ENTRIES[:6], pairs=True)
    shape = shape_for(kind, 8_000, words.vocab_size, 2)
    model = building.untaught(words, shape, ["no", "yes"], 16)
    draw = np.random.default_rng(0)
    first = draw.integers(0, 6, 300)
    second = np.where(np.arange(300) % 2, first, (first + draw.integers(1, 6, 300)) % 6)
    some = [joined(f"w{a} w{a}", f"w{b}") for a, b in zip(first, second, strict=True)]
    labels = np.arange(300, dtype=np.int64) % 2
    given = train.Examples(model.encode(some), labels, np.zeros((0, 300, 2), np.float32))
    run(model, given, HARD, train.Schedule(15, 16, 2e-2))
    assert (logits(model, given.tokens).argmax(1) == labels).mean() > 0.95


def test_word_dropout_leaves_the_separator() -> None:
    words = Words(ENTRIES[:4], pairs=True)
    model = building.untaught(words, shape_for("bag", 8_000, words.vocab_size, 2), ["no", "yes"], 16)
    tokens = model.encode([joined("w0 w1 w2", "w3 w0")] * 50)
    torch.manual_seed(0)
    ids, lengths = train._read(model, tokens, np.arange(50), 0.9)
    assert (ids == 2).sum(1).tolist() == [1] * 50
    assert (ids == 1).any()
    assert lengths.tolist() == [6] * 50


@pytest.mark.parametrize("family", ["compact", "bag"])
def test_it_is_prepared_from_a_teacher_of_pairs(family: str, tmp_path: Path) -> None:
    folder = make_teacher(tmp_path / "teacher")
    teacher = huggingface.load(folder, ["no", "yes"], max_length=32, is_pair=True).model
    wanted = Wanted(family, None, 8_000, None, True)  # type: ignore[arg-type]
    some = [joined("good fine word1", "bad word2"), joined("word3", "dull word1")]
    embedding = partial(embeddings.from_teacher, teacher, precision=torch.float32)
    prepared = building.prepare(wanted, teacher.label_names, some, some, embedding)
    assert {"good", "bad", "dull", "word1"} <= set(prepared.words.entries)
    assert prepared.coverage == 1.0
    assert len(prepared.initial) == prepared.words.vocab_size == prepared.shape.vocabulary
    (tmp_path / "prepared").mkdir()
    building.save_prepared(prepared, tmp_path / "prepared")
    again = building.load_prepared(tmp_path / "prepared")
    assert again is not None
    assert isinstance(again.shape, CompactShape | BagShape)
    assert again.shape == prepared.shape
    assert again.words.pairs
    model = building.student(again, ["no", "yes"], 32, seed=0)
    assert model.is_pair
    assert np.isfinite(logits(model, model.encode(some))).all()
