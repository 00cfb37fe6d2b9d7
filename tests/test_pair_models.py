"""Hugging Face models of pairs: token types made from ids, against transformers' own tokenizers and models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from stepdown.errors import ModelError
from stepdown.export import graphs, integers
from stepdown.students import bert_hash, embeddings, hints, huggingface, saved, transformer
from stepdown.students.model import TextModel, logits
from stepdown.students.token_types import token_types
from stepdown.tasks import joined
from tests.conftest import corpus, make_bert_hash, make_teacher

PAIRS = [
    ("good word1", "bad word2 word3"),
    ("word3", "fine"),
    ("", "word1 " * 5),
    ("poor " * 3, " "),  # of an empty second text transformers makes a single one
    ("good " * 60, "word1 " * 40),
]
SINGLES = ["good one", "", "word4 " * 50]


def loud(model: TextModel) -> TextModel:
    """With weights so large that every part of the network shows in the logits."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.network.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.3)
    return model


def loaded(folder: Path, *, is_pair: bool = True) -> TextModel:
    return loud(huggingface.load(folder, ["no", "yes"], max_length=32, is_pair=is_pair).model)


def theirs(folder: Path) -> list[np.ndarray]:
    """What transformers itself makes of the pairs, with its own tokenizer and model."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    classifier = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return [
            classifier(**tokenizer(*pair, truncation=True, max_length=32, return_tensors="pt"))
            .logits[0]
            .numpy()
            for pair in PAIRS
        ]


def make_roberta(folder: Path) -> Path:
    """A tiny RoBERTa with a tokenizer of bytes: no token types, and two separators between the texts."""
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

    made = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator([" ".join(corpus(50)[0])], vocab_size=300, special_tokens=special)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    folder.mkdir()
    tokenizer: Any = RobertaTokenizerFast(tokenizer_object=made)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    RobertaModel(
        RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, type_vocab_size=1, **sizes)
    ).save_pretrained(folder)
    return folder


def make_distilbert(folder: Path) -> Path:
    """A tiny DistilBERT: BERT's tokenizer, and no token types."""
    from transformers import DistilBertConfig, DistilBertModel

    make_teacher(folder)
    size = len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    torch.manual_seed(0)
    config = DistilBertConfig(
        vocab_size=size, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64
    )
    DistilBertModel(config).save_pretrained(folder)
    return folder


MAKERS = {
    "bert": make_teacher,
    "bert_hash": lambda folder: make_bert_hash(folder)[0],
    "roberta": make_roberta,
    "distilbert": make_distilbert,
}


def test_types_begin_after_the_first_separator_and_end_with_the_pair() -> None:
    ids = torch.tensor([[2, 7, 3, 8, 9, 3], [2, 7, 7, 3, 3, 3], [2, 3, 7, 3, 7, 3]])
    found = token_types(ids, torch.tensor([6, 4, 6]), 3)
    assert found.tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1]]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_pair_means_what_it_means_to_transformers(kind: str, tmp_path: Path) -> None:
    model = loaded(MAKERS[kind](tmp_path / "model"))
    assert model.is_pair
    assert isinstance(model.network, transformer.HuggingFaceNetwork)
    assert (model.network.separator is not None) == (kind in ("bert", "bert_hash"))
    said = logits(model, model.encode([joined(*pair) for pair in PAIRS]))
    (tmp_path / "kept").mkdir()
    saved.save(model, tmp_path / "kept")
    assert np.abs(said - theirs(tmp_path / "kept")).max() < 1e-4
    assert np.ptp(said[:, 0]) > 0.05, "pairs that all get the same logits would prove nothing"
    # What was saved reads pairs again without being told to, and so does a copy of its first layer.
    again = saved.load(tmp_path / "kept", max_length=32)
    assert (again.is_pair, again.network.separator) == (True, model.network.separator)
    assert np.array_equal(logits(again, again.encode([joined(*pair) for pair in PAIRS])), said)
    if kind != "distilbert":
        half = transformer.first_layers(again, 1)
        assert (half.is_pair, half.network.separator) == (True, model.network.separator)


@pytest.mark.parametrize("kind", ["bert", "bert_hash"])
def test_types_make_a_difference_to_pairs_and_none_to_single_texts(kind: str, tmp_path: Path) -> None:
    folder = MAKERS[kind](tmp_path / "model")
    of_pairs, of_texts = loaded(folder), loaded(folder, is_pair=False)
    assert (of_texts.is_pair, of_texts.network.separator) == (False, None)
    single = of_texts.encode(SINGLES)
    assert np.array_equal(logits(of_pairs, single), logits(of_texts, single))
    pairs = of_texts.encode([joined(*pair) for pair in PAIRS])
    assert np.abs(logits(of_pairs, pairs) - logits(of_texts, pairs)).max() > 1e-3


def test_a_model_of_single_texts_is_saved_as_ever(tmp_path: Path) -> None:
    model = loaded(make_teacher(tmp_path / "model"), is_pair=False)
    (tmp_path / "kept").mkdir()
    saved.save(model, tmp_path / "kept")
    assert "is_pair" not in (tmp_path / "kept" / "config.json").read_text(encoding="utf-8")
    assert not saved.load(tmp_path / "kept").is_pair


@pytest.mark.parametrize("kind", ["bert", "bert_hash", "roberta"])
def test_the_exported_graph_says_what_the_network_says(kind: str, tmp_path: Path) -> None:
    model = loaded(MAKERS[kind](tmp_path / "model"))
    graphs.write(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    small = onnxruntime.InferenceSession(
        integers.quantised((tmp_path / "model.onnx").read_bytes(), "int8"), providers=["CPUExecutionProvider"]
    )
    tokens = model.encode([*(joined(*pair) for pair in PAIRS), *SINGLES])
    said = logits(model, tokens)
    for rows in ([0], [6], [1, 5], range(len(tokens))):  # pairs and texts, alone and together
        ids, lengths = tokens.pad(np.array(rows), model.tokenizer.pad_id)
        found = session.run(None, {"ids": ids, "lengths": lengths})[0]
        assert np.abs(found - said[rows]).max() < 1e-4
        found = small.run(None, {"ids": ids, "lengths": lengths})[0]
        assert np.abs(found - said[rows]).max() < 0.2


def test_the_layout_of_a_pair_that_does_not_follow_from_its_ids_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertTokenizer

    folder = make_teacher(tmp_path / "model")
    plain: Any = BertTokenizer.__call__

    def as_xlnet(self: Any, *texts: str, **settings: Any) -> Any:
        """XLNet's last token is of a third type."""
        read = plain(self, *texts, **settings)
        read["token_type_ids"][-1] = 2
        return read

    monkeypatch.setattr(BertTokenizer, "__call__", as_xlnet)
    with pytest.raises(ModelError, match=r"cannot read pairs of texts here: its token types do not follow"):
        huggingface.load(folder, ["no", "yes"], max_length=32, is_pair=True)
    assert not huggingface.load(folder, ["no", "yes"], max_length=32).model.is_pair


def test_a_tokenizer_that_is_no_longer_read_by_transformers_is_told(tmp_path: Path) -> None:
    folder = make_teacher(tmp_path / "model")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": "no"}'
    )
    with pytest.raises(ModelError, match="tokenizer"):
        huggingface.load(folder, ["no", "yes"], max_length=32, is_pair=True)


def test_words_get_embeddings_without_the_opinion_of_a_teacher_of_pairs(tmp_path: Path) -> None:
    folder = make_teacher(tmp_path / "model")
    words = ["[PAD]", "[UNK]", "[SEP]", "good", "bad", "word1"]
    of_pairs, of_texts = (
        embeddings.from_teacher(loaded(folder, is_pair=is_pair), words, [1] * 6, 4, precision=torch.float32)
        for is_pair in (True, False)
    )
    assert np.allclose(of_pairs[:, :3], of_texts[:, 1:], atol=1e-6), "only the teacher's opinion is gone"


def test_hints_of_pairs_are_means_over_both_texts(tmp_path: Path) -> None:
    model = loaded(make_teacher(tmp_path / "model"))
    tokens = model.encode([joined("good word1", "bad"), joined("good word1", "fine")])
    said, states = hints.logits_and_states(model, tokens, precision=torch.float32)
    assert np.array_equal(said, logits(model, tokens))
    assert np.abs(states[0] - states[1]).max() > 0.01


def test_bert_hash_has_a_tokenizer_in_transformers_by_its_own_settings(tmp_path: Path) -> None:
    folder, _ = make_bert_hash(tmp_path / "femto")
    model = huggingface.load(folder, ["no", "yes"], max_length=32, is_pair=True).model
    assert isinstance(model.network.classifier, bert_hash.BertHashForSequenceClassification)
    assert model.network.separator == 3
