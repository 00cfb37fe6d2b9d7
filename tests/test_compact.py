import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from stepdown.errors import ModelError
from stepdown.export import graphs
from stepdown.recipe.settings import Core
from stepdown.students import budgets, embeddings, huggingface, saved, transformer, vocabulary
from stepdown.students.compact import CompactNetwork, shape_for
from stepdown.students.cores import CORES
from stepdown.students.model import TextModel, logits
from stepdown.tokens.words import Words
from tests.conftest import make_teacher

cores: st.SearchStrategy[Core] = st.sampled_from(sorted(CORES))

WORDS = Words(tuple(f"w{index}" for index in range(400)))


def student(classes: int = 2, budget: int = 20_000, core: Core = "gru") -> TextModel:
    shape = shape_for(budget, WORDS.vocab_size, classes, core)
    torch.manual_seed(0)
    names = tuple(f"label {index}" for index in range(classes))
    words = Words(WORDS.entries[: shape.vocabulary - 2])
    return TextModel(CompactNetwork(shape), words, names, 32, "compact", shape.describe())


@settings(max_examples=300)
@given(
    st.integers(5_000, 5_000_000),
    st.integers(50, 60_000),
    st.one_of(st.sampled_from([2, 3, 28, 77, 150]), st.integers(2, 150)),
    cores,
)
def test_a_budget_is_never_exceeded_and_well_used(budget: int, words: int, classes: int, core: Core) -> None:
    shape = shape_for(budget, words, classes, core)
    assert shape.parameters <= budget
    assert 3 <= shape.vocabulary <= words
    # One unit more of the core, with its 6 outputs a class, or one column more may be what does not fit.
    assert shape.parameters >= (0.85 if budget >= 12_000 else 0.7) * budget - 6 * classes
    assert [columns for _, columns in shape.tiers] == sorted({c for _, c in shape.tiers}, reverse=True)


@settings(max_examples=40)
@given(st.integers(5_000, 500_000), st.integers(2, 150), cores)
def test_the_count_of_the_shape_is_the_count_of_the_network(budget: int, classes: int, core: Core) -> None:
    shape = shape_for(budget, 5_000, classes, core)
    network = CompactNetwork(shape)
    assert sum(parameter.numel() for parameter in network.parameters()) == shape.parameters


def test_the_published_proportions_at_250k() -> None:
    shape = shape_for(250_000, 20_000, 2)
    assert (shape.width, shape.hidden) == (32, 56)
    assert 0.97 * 250_000 <= shape.parameters <= 250_000
    assert shape.describe() == "bidirectional GRU, 20K words"
    other = shape_for(250_000, 20_000, 2, "conv")
    assert (other.width, other.hidden) == (32, 44)
    assert other.network_parameters == pytest.approx(shape.network_parameters, rel=0.1)
    assert other.describe() == "gated convolution, 20K words"
    forward = shape_for(250_000, 20_000, 2, "forward-gru")
    assert (forward.width, forward.hidden) == (32, 84)
    assert forward.network_parameters == pytest.approx(shape.network_parameters, rel=0.1)
    assert forward.describe() == "forward GRU, 20K words"


@pytest.mark.parametrize("core", CORES)
def test_a_core_of_a_size_that_is_asked_for_leaves_the_rest_to_words(core: Core) -> None:
    shape = shape_for(250_000, 60_000, 2, core, hidden=24)
    usual = shape_for(250_000, 60_000, 2, core)
    assert shape.hidden == 24 < usual.hidden
    assert shape.width == usual.width
    assert shape.vocabulary > usual.vocabulary
    assert 0.97 * 250_000 <= shape.parameters <= 250_000
    few = shape_for(250_000, 500, 2, core, hidden=24)
    assert (few.hidden, few.vocabulary) == (24, 500)
    assert few.tiers == ((500, few.width),)


def test_a_core_too_large_for_the_budget_says_what_is_needed() -> None:
    with pytest.raises(
        ModelError, match=r"its network, with hidden = 200, alone takes .* choose a smaller hidden"
    ):
        shape_for(250_000, 20_000, 2, hidden=200)


def test_a_budget_too_small_for_the_classes_says_what_is_needed() -> None:
    with pytest.raises(ModelError, match=r"5,000 parameters .* 500 classes.*Raise max_params"):
        shape_for(5_000, 1_000, 500)


@pytest.mark.parametrize("core", CORES)
def test_padding_never_changes_a_texts_logits(core: Core) -> None:
    network = student(core=core).network.eval()
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


@pytest.mark.parametrize("core", CORES)
def test_order_and_batches_never_change_what_a_model_says(core: Core) -> None:
    model = student(core=core)
    texts = [" ".join(f"w{(i * 7 + j) % 400}" for j in range(1 + i % 30)) for i in range(300)]
    said = logits(model, model.encode(texts))
    shuffled = np.random.default_rng(0).permutation(len(texts))
    again = logits(model, model.encode([texts[index] for index in shuffled]))
    assert np.abs(said[shuffled] - again).max() < 1e-5


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("classes", [2, 5])
def test_the_exported_graph_says_what_the_network_says(tmp_path: Path, classes: int, core: Core) -> None:
    model = student(classes, core=core)
    graphs.write(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    tokens = model.encode(["w1 w2 w3", "", "w5 " * 40, "unheard-of ☃ words"])
    ids, lengths = tokens.pad(np.arange(4), model.tokenizer.pad_id)
    found = session.run(None, {"ids": ids, "lengths": lengths})[0]
    assert np.abs(found - logits(model, tokens)).max() < 1e-5
    # The file holds the tables tier by tier: it is no larger than the parameters and the graph.
    assert (tmp_path / "model.onnx").stat().st_size < 4 * model.parameters + 8_000


@pytest.mark.parametrize("core", CORES)
def test_a_saved_student_comes_back_the_same(tmp_path: Path, core: Core) -> None:
    model = student(3, core=core)
    saved.save(model, tmp_path)
    again = saved.load(tmp_path)
    assert (again.label_names, again.max_length, again.description) == (
        model.label_names,
        model.max_length,
        model.description,
    )
    tokens = model.encode(["w1 w2", "w3"])
    assert np.array_equal(logits(model, tokens), logits(again, again.encode(["w1 w2", "w3"])))


def test_a_student_saved_before_there_were_cores_still_loads(tmp_path: Path) -> None:
    model = student(3)
    saved.save(model, tmp_path)
    about = json.loads((tmp_path / "compact.json").read_text(encoding="utf-8"))
    del about["core"]
    (tmp_path / "compact.json").write_text(json.dumps(about), encoding="utf-8")
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {name.removeprefix("core."): value for name, value in weights.items()}, tmp_path / "model.safetensors"
    )
    tokens = model.encode(["w1 w2", "w3"])
    assert np.array_equal(logits(saved.load(tmp_path), tokens), logits(model, tokens))


@pytest.mark.parametrize("size", [60, 200, 520])
def test_a_vocabulary_fills_its_size_and_reads_every_word(size: int) -> None:
    counts = Counter(
        {f"{stem}{index}": 100 - index for index in range(50) for stem in ("walk", "talk", "ä", "漢字")}
    )
    words = vocabulary.choose(vocabulary.rank(counts, counts), counts, size)
    assert words.vocab_size <= size
    assert words.vocab_size >= min(size, len(counts)) - 2
    assert len(set(words.entries)) == len(words.entries)
    if size >= 200:  # room for all characters
        assert 1 not in words.encode(list(counts), 16).ids


def test_words_are_ranked_by_both_shares_and_spelling_breaks_ties() -> None:
    task, transfer = Counter(task=5, both=3, b=1, a=1), Counter(both=40, transfer=50)
    assert vocabulary.rank(task, transfer) == ["both", "transfer", "task", "a", "b"]


@settings(max_examples=30)
@given(st.integers(50, 8_000), st.integers(8_000, 400_000), st.integers(2, 5), cores)
def test_every_entry_of_a_sized_student_has_a_row(
    words: int, max_params: int, classes: int, core: Core
) -> None:
    counts = Counter({f"w{index:x}q": max(1, words // (index + 1)) for index in range(words)})
    names = [f"label {index}" for index in range(classes)]
    chosen, shape = budgets.sized(budgets.Wanted("compact", core, max_params), names, counts, counts)
    assert chosen.vocab_size == shape.vocabulary
    assert shape.parameters <= max_params


def test_words_of_like_vectors_are_near_in_meaning(tmp_path: Path) -> None:
    model = huggingface.load(make_teacher(tmp_path / "teacher"), ("no", "yes"), max_length=32).model
    words = ["good", "fine", "bad", "dull", "word1", "word2"]
    table = transformer.encoder(model).get_input_embeddings().weight
    with torch.no_grad():
        for one, other in (("good", "fine"), ("bad", "dull")):
            first, second = (int(model.encode([word]).ids[1]) for word in (one, other))
            table[second] = table[first] + 1e-3
    found = embeddings.meaning(model, words, precision=torch.float32)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    products = found @ found.T - 2 * np.eye(len(words))
    assert [words[other] for other in products.argmax(1)[:4]] == ["fine", "good", "dull", "bad"]
    assert embeddings.meaning(model, ["alone"], precision=torch.float32).shape == (1, found.shape[1])
