"""The words that a teacher's tokenizer holds whole, of every kind of tokenizer that the libraries make."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from stepdown.students import lexicon
from stepdown.tokens import BertWordPiece, HuggingFaceTokenizer, Words

TEXTS = ["The city of Paris, the café at 10 o'clock", "the city of Oslo and the cafés"] * 20


def wordpiece() -> BertWordPiece:
    return BertWordPiece(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "city", "##city", "of", "café", "don't", "1990", "oslo"]
    )


def trained(marked: str) -> HuggingFaceTokenizer:
    """A byte-level or a sentencepiece tokenizer that has read the texts."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = (
        pre_tokenizers.ByteLevel(add_prefix_space=True) if marked == "bytes" else pre_tokenizers.Metaspace()
    )
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "<pad>"], show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    return HuggingFaceTokenizer(made.to_str().encode())


def test_words_of_a_wordpiece_vocabulary_come_in_its_order() -> None:
    assert lexicon.whole_words(wordpiece()) == ["city", "café", "oslo"]


def test_words_of_bytes_are_those_without_other_letters() -> None:
    found = lexicon.whole_words(trained("bytes"))
    assert {"city", "Paris", "the", "The"} <= {*found}
    assert not [word for word in found if not word.isascii()], "a letter that stands for a byte is none"


def test_words_of_sentencepiece_are_without_its_mark() -> None:
    found = lexicon.whole_words(trained("sentencepiece"))
    assert {"city", "the", "café"} <= {*found}
    assert all(word.isalpha() and len(word) > 2 for word in found)


def test_no_words_of_a_vocabulary_of_many_languages_or_of_a_students(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lexicon.whole_words(Words(["city"])) == []
    monkeypatch.setattr(lexicon, "_MOST_ENTRIES", 10)
    assert lexicon.whole_words(wordpiece()) == []
