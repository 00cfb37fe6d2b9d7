"""The words that a model's tokenizer holds whole: what a teacher knows beside the words of the task."""

from __future__ import annotations

from stepdown.tokens import BertWordPiece, HuggingFaceTokenizer, Tokenizer

# A larger vocabulary is mostly one of many languages, and their words are no neighbours for a text of one.
_MOST_ENTRIES = 100_000
# Shorter entries are pieces of words as often as words.
_SHORTEST = 3
# What begins an entry that begins a word: of byte-level vocabularies, whose other letters stand for bytes, and of
# sentencepiece's. A word piece that continues a word begins with signs.
_BYTE_LEVEL, _SENTENCEPIECE = "\u0120", "\u2581"


def whole_words(tokenizer: Tokenizer) -> list[str]:
    """Words of letters alone, of three or more, in the order of their ids, which is mostly that of frequency.

    None of a tokenizer that is no encoder's, or whose vocabulary is of many languages.
    """
    if not isinstance(tokenizer, BertWordPiece | HuggingFaceTokenizer):
        return []
    entries = tokenizer.vocabulary
    if len(entries) > _MOST_ENTRIES:
        return []
    marks = (_BYTE_LEVEL, _SENTENCEPIECE)
    mark = next((mark for mark in marks if any(entry.startswith(mark) for entry in entries)), "")
    words = (entry.removeprefix(mark) for entry in entries if entry.startswith(mark))
    return [
        word
        for word in words
        if len(word) >= _SHORTEST and word.isalpha() and (mark != _BYTE_LEVEL or word.isascii())
    ]
