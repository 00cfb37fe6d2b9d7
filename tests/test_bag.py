"""The bag of words and hashed pairs: its sizes, its hash, its network, and how it is packed."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown import train
from stepdown.errors import ModelError
from stepdown.export import graphs
from stepdown.students import bag, budgets, building, saved
from stepdown.students.bag import BagNetwork, shape_for
from stepdown.students.model import TextModel, logits
from stepdown.tokens.words import Words
from tests.test_train import HARD, examples, run

WORDS = Words(tuple(f"w{index}" for index in range(400)))


def student(classes: int = 2, budget: int = 20_000, pairs: int = 50_000) -> TextModel:
    shape = shape_for(budget, WORDS.vocab_size, classes, pairs)
    names = [f"label {index}" for index in range(classes)]
    model = building.untaught(Words(WORDS.entries[: shape.vocabulary - 2]), shape, names, 32)
    assert isinstance(model.network, BagNetwork)
    torch.nn.init.normal_(model.network.pairs)  # pairs start at zero, and would say nothing here
    return model


@settings(max_examples=300)
@given(
    st.integers(5_000, 5_000_000),
    st.integers(50, 60_000),
    st.one_of(st.sampled_from([2, 3, 28, 77, 150]), st.integers(2, 150)),
    st.integers(1, 10_000_000),
)
def test_a_budget_is_never_exceeded_and_well_used(budget: int, words: int, classes: int, pairs: int) -> None:
    shape = shape_for(budget, words, classes, pairs)
    assert shape.parameters <= budget
    assert 3 <= shape.vocabulary <= words
    assert 1 <= shape.buckets <= pairs
    all_words_full = shape.tiers == ((words, shape.width),)
    assert shape.parameters >= 0.95 * budget or (all_words_full and shape.buckets == pairs)


@pytest.mark.parametrize("classes", [2, 3, 77])
@pytest.mark.parametrize("budget", [6_000, 250_000])
def test_the_count_of_the_shape_is_the_count_of_the_network(budget: int, classes: int) -> None:
    shape = shape_for(budget, 5_000, classes, 1_000_000)
    assert sum(p.numel() for p in BagNetwork(shape).parameters()) == shape.parameters


def test_a_budget_too_small_for_the_classes_says_what_is_needed() -> None:
    with pytest.raises(ModelError, match=r"bag of at most 1,000 parameters .* 500 classes.*Raise max_params"):
        shape_for(1_000, 1_000, 500, 1_000)


def test_the_hash_is_what_it_is() -> None:
    """Students on disk hang on it."""
    found = bag.bucket(torch.tensor([2, 5, 2**24]), torch.tensor([3, 5, 2**24 - 1]), 1000)
    expected = [(a * 2_654_435_761 + b * 2_246_822_519) % (2**31 - 1) % 1000 for a, b in ((2, 3), (5, 5))]
    assert found.tolist()[:2] == expected
    assert 0 <= found[2] < 1000


@pytest.mark.parametrize("buckets", [1_000, 1_024, 4_096, 10_007])
def test_the_hash_spreads_pairs_as_chance_would(buckets: int) -> None:
    draw = np.random.default_rng(0)
    # Frequent ids are small ones, so that pairs of neighbours are anything but spread evenly.
    pairs = np.unique(np.minimum(draw.zipf(1.3, (40_000, 2)), 20_000), axis=0)
    found = bag.bucket(*torch.from_numpy(pairs).T, buckets)
    counts = np.bincount(found.numpy(), minlength=buckets)
    expected = len(pairs) / buckets
    assert counts.var() < 1.5 * expected, "chance has a variance equal to the mean"


def test_padding_never_changes_a_texts_logits() -> None:
    network = student().network.eval()
    lengths = torch.tensor([3, 9, 1])
    ids = torch.randint(2, 100, (3, 9))
    with torch.inference_mode():
        together = network(ids, lengths)
        alone = torch.cat(
            [network(ids[i : i + 1, :n], torch.tensor([n])) for i, n in enumerate(lengths.tolist())]
        )
        longer = network(torch.nn.functional.pad(ids, (0, 30), value=7), lengths)
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(together, longer, atol=1e-6)


def test_it_is_the_mean_of_word_rows_and_pair_rows() -> None:
    network = student().network.eval()
    assert isinstance(network, BagNetwork)
    ids = torch.tensor([[5, 9, 7]])
    width = network.shape.width
    words = sum(network.tables[0][index] for index in (5, 9, 7))
    rows = [int(bag.bucket(*map(torch.tensor, pair), network.shape.buckets)) for pair in ((5, 9), (9, 7))]
    pairs = torch.nn.functional.pad(network.pairs[rows].sum(0), (0, width - network.shape.pair_columns))
    with torch.inference_mode():
        assert torch.allclose(network(ids, torch.tensor([3])), network.output((words + pairs) / 5)[None])


@pytest.mark.parametrize("classes", [2, 3, 77])
def test_the_exported_graph_says_what_the_network_says(tmp_path: Path, classes: int) -> None:
    model = student(classes)
    graphs.write(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    texts = ["w1 w2 w3", "", "w5 " * 40, "unheard-of ☃ words", "w399 w398 w0 w1"]
    for chosen in (texts, [""], ["w1"], ["w1", "w3"]):  # where no text has a pair, there are none to add up
        tokens = model.encode(chosen)
        ids, lengths = tokens.pad(np.arange(len(chosen)), model.tokenizer.pad_id)
        found = session.run(None, {"ids": ids, "lengths": lengths})[0]
        assert np.abs(found - logits(model, tokens)).max() < 1e-5
    assert (tmp_path / "model.onnx").stat().st_size < 4 * model.parameters + 5_000


def test_a_saved_bag_comes_back_the_same(tmp_path: Path) -> None:
    model = student(3)
    saved.save(model, tmp_path)
    again = saved.load(tmp_path)
    assert (again.kind, again.label_names, again.max_length, again.description) == (
        "bag",
        model.label_names,
        model.max_length,
        model.description,
    )
    tokens = model.encode(["w1 w2", "w3"])
    assert np.array_equal(logits(model, tokens), logits(again, again.encode(["w1 w2", "w3"])))


def test_order_counts_by_pairs_alone() -> None:
    model = student()
    said = logits(model, model.encode(["w1 w2 w3", "w3 w2 w1", "w1 w2 w3"]))
    assert not np.allclose(said[0], said[1])
    assert np.array_equal(said[0], said[2])


def test_it_learns_what_only_a_pair_tells() -> None:
    """The label is whether `a` comes right before `b` or the other way round: every text has the same words."""
    words = Words(("a", "b", "c", "d"))
    model = building.untaught(words, shape_for(5_000, words.vocab_size, 2, 500), ["no", "yes"], 16)
    texts = ["c a b d", "d b a c"] * 100
    labels = np.array([0, 1] * 100, np.int64)
    given = train.Examples(model.encode(texts), labels, np.zeros((0, 200, 2), np.float32))
    losses = run(model, given, HARD, train.Schedule(20, 16, 2e-2))
    assert losses[-1] < 0.1


def test_it_learns_from_words(tmp_path: Path) -> None:
    from tests.test_train import BAD, FILLER, GOOD, corpus

    words = Words((*GOOD, *BAD, *FILLER))
    model = building.untaught(words, shape_for(5_000, words.vocab_size, 2, 5_000), ["no", "yes"], 32)
    run(model, examples(model), HARD, train.Schedule(12, 16, 2e-2))
    texts, labels = corpus(300, seed=9)
    assert (logits(model, model.encode(texts)).argmax(1) == labels).mean() > 0.9


@settings(max_examples=30)
@given(st.integers(50, 8_000), st.integers(5_000, 400_000), st.integers(2, 150))
def test_every_entry_of_a_sized_bag_has_a_row(words: int, max_params: int, classes: int) -> None:
    counts = Counter({f"w{index:x}q": max(1, words // (index + 1)) for index in range(words)})
    names = [f"label {index}" for index in range(classes)]
    chosen, shape = budgets.sized(budgets.Wanted("bag", None, max_params), names, counts, counts)
    assert chosen.vocab_size == shape.vocabulary
    assert shape.parameters <= max_params
