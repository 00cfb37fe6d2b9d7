"""Models from folders in Hugging Face's layout: as they should be, and as users have them."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from stepdown.errors import ModelError
from stepdown.students import bert_hash, huggingface, saved, transformer
from stepdown.students.model import logits
from tests.conftest import make_bert_hash, make_teacher
from tests.hub_content import pretrained


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return make_teacher(tmp_path / "encoder")


def settings(folder: Path, **changed: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut weights": lambda folder: (folder / "model.safetensors").write_bytes(b"\x08"),
    "a pointer where weights were": lambda folder: (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    ),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "a size that is a word": lambda folder: settings(folder, num_hidden_layers="x"),
    "labels with a gap": lambda folder: settings(folder, id2label={"0": "a", "2": "c"}),
    "a config that is no JSON": lambda folder: (folder / "config.json").write_text("{"),
    "an architecture that nobody ships": lambda folder: settings(folder, model_type="no_such_model"),
    "no tokenizer": lambda folder: [
        (folder / name).unlink() for name in ("vocab.txt", "tokenizer_config.json")
    ],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_folder_that_is_no_model_is_told_in_a_sentence(
    encoder: Path, damage: Callable[[Path], object]
) -> None:
    damage(encoder)
    with pytest.raises(ModelError) as caught:
        huggingface.load(encoder, max_length=32)
    assert str(encoder) in str(caught.value)
    assert "\n" not in str(caught.value)


class Alarm:
    """A pickle of this leaves a file behind when it is read as pickles are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["plain", "zip", "old"])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(
    encoder: Path, tmp_path: Path, form: str
) -> None:
    (encoder / "model.safetensors").unlink()
    weights = {"bert.embeddings.word_embeddings.weight": Alarm(tmp_path / "was-run")}
    if form == "plain":
        (encoder / "pytorch_model.bin").write_bytes(pickle.dumps(weights))
    else:
        torch.save(weights, encoder / "pytorch_model.bin", _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ModelError, match="holds more than tensors") as caught:
        huggingface.load(encoder, max_length=32)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value), "no advice to read it all the same"
    assert not (tmp_path / "was-run").exists()
    pickle.loads(pickle.dumps(weights))
    assert (tmp_path / "was-run").exists(), "the alarm works"


@pytest.mark.parametrize("old_names", [False, True])
def test_a_pretraining_checkpoint_is_read_and_told_of_in_two_lines(tmp_path: Path, old_names: bool) -> None:
    """Google's small BERTs hold a pretraining head, and TensorFlow's names of layer normalisation some of the time."""
    folder = tmp_path / "google"
    folder.mkdir()
    files = pretrained(2, 32, old_names=old_names)
    for name, body in files.items():
        (folder / name).write_bytes(body)
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    found = huggingface.load(folder, ["negative", "positive"], max_length=32)
    held, lacked = found.notes
    assert held.startswith(
        "google holds 9 weights that a classifier has no place for, left out: cls.predictions.bias, "
    )
    assert lacked == "google lacks 2 weights, which start at random: classifier.bias, classifier.weight"
    state = found.model.network.classifier.state_dict()
    for key, value in weights.items():
        ours = key.replace("gamma", "weight").replace("beta", "bias")
        assert key.startswith("cls.") or "position_ids" in key or torch.equal(state[ours], value), key
    cls, good, sep = found.model.encode(["GOOD"]).ids.tolist()
    assert (cls, sep) == (2, 3), "a bare vocabulary is a tokenizer"
    assert good == 5, "in small letters"


def test_a_tokenizer_that_is_larger_than_the_embeddings_is_refused(encoder: Path) -> None:
    with (encoder / "vocab.txt").open("a") as file:
        file.write("one-more\n")
    with pytest.raises(ModelError, match="do not belong together"):
        huggingface.load(encoder, max_length=32)


def test_a_copy_of_the_first_layers_has_settings_that_fit_it(encoder: Path, tmp_path: Path) -> None:
    """Some architectures list a kind for each layer, and are not saved while the list is longer than the layers."""
    model = huggingface.load(encoder, ["a", "b"], max_length=32).model
    model.network.classifier.config.layer_types = ["full_attention", "sliding_attention"]
    half = transformer.first_layers(model, 1)
    config = half.network.classifier.config
    assert (config.num_hidden_layers, config.layer_types) == (1, ["full_attention"])
    assert model.network.classifier.config.layer_types == ["full_attention", "sliding_attention"]
    (tmp_path / "half").mkdir()
    huggingface.save(half, tmp_path / "half")
    assert len(transformer.layers(saved.load(tmp_path / "half"))) == 1


def test_a_saved_model_reads_as_many_tokens_as_it_was_trained_on(encoder: Path, tmp_path: Path) -> None:
    model = huggingface.load(encoder, ["a", "b"], max_length=24).model
    (tmp_path / "kept").mkdir()
    saved.save(model, tmp_path / "kept")
    assert saved.load(tmp_path / "kept").max_length == 24
    assert saved.load(tmp_path / "kept", max_length=12).max_length == 12


@pytest.mark.parametrize(
    ("hidden", "projections", "parameters"), [(50, 5, 242_662), (80, 8, 448_498), (128, 16, 969_890)]
)
def test_bert_hash_has_the_published_sizes(hidden: int, projections: int, parameters: int) -> None:
    config = bert_hash.BertHashConfig(
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=4 * hidden,
        projections=projections,
    )
    model = bert_hash.BertHashForSequenceClassification(config)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert "bert.embeddings.word_embeddings.embeddings.weight" in model.state_dict()
    assert model.get_input_embeddings().weight.shape == (30_522, hidden)


@pytest.mark.parametrize("name", ["projections", "proj.0"])
def test_a_published_bert_hash_is_read_without_running_its_code(tmp_path: Path, name: str) -> None:
    """Published checkpoints hold no pooler and no head, name code in `auto_map`, and may name the map otherwise."""
    folder, weights = make_bert_hash(tmp_path / "femto", name)
    found = huggingface.load(folder, ["a", "b"], max_length=32)
    assert not found.has_head
    state = found.model.network.classifier.state_dict()
    for key, value in weights.items():
        ours = "bert." + key.replace(f".{name}.", ".projections.")
        assert torch.equal(state[ours], value), key
    assert {part.split(".")[-3] for part in found.model.fresh} <= {"classifier", "pooler"}
    (tmp_path / "kept").mkdir()
    saved.save(found.model, tmp_path / "kept")
    again = saved.load(tmp_path / "kept")
    texts = ["good word1", "a dull one"]
    said = logits(found.model, found.model.encode(texts))
    assert np.abs(logits(again, again.encode(texts)) - said).max() < 1e-6


@pytest.mark.parametrize("name", ["projections", "proj.0"])
def test_transformers_own_auto_classes_read_a_published_bert_hash(tmp_path: Path, name: str) -> None:
    folder, weights = make_bert_hash(tmp_path / "femto", name)
    encoder = AutoModel.from_pretrained(folder, trust_remote_code=True)
    assert type(encoder) is bert_hash.BertHashModel
    state = encoder.state_dict()
    for key, value in weights.items():
        assert torch.equal(state[key.replace(f".{name}.", ".projections.")], value), key
    (folder / "tokenizer_config.json").unlink()
    assert AutoTokenizer.from_pretrained(folder)("good")["input_ids"] == [2, 5, 3]


def test_a_damaged_compact_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "compact.json").write_text('{"tiers": []}')
    with pytest.raises(ModelError, match="is damaged"):
        saved.load(tmp_path)
