"""Pairs of texts as ids: equal to the libraries', cut as they cut, and without any effect on single texts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepdown import tokens
from stepdown.errors import InputError
from stepdown.students import vocabulary
from stepdown.tasks import SEPARATOR, joined, parts
from stepdown.tokens import BertWordPiece, HuggingFaceTokenizer, Words
from stepdown.tokens.flat import longest_first
from tests.test_tokens import PIECES, fuzz, rows, vocabulary_of_characters

ENTRIES = ("good", "movie", "go", "o", "d", "!", "n't", "m", "电")
PAIRS = Words(ENTRIES, pairs=True)


def pairs_of(texts: list[str], count: int) -> list[tuple[str, str]]:
    draw = random.Random(1)
    return [(draw.choice(texts), draw.choice(texts)) for _ in range(count)]


def counted(most: int) -> list[str]:
    """Texts of every number of words up to `most`, among which ties and odd rooms come up."""
    return ["a " * count for count in range(most + 1)]


# --- words ------------------------------------------------------------------------------------------------------------


@given(st.text("go dmv!\t", max_size=40), st.text("go dmv!\t", max_size=40), st.integers(3, 24))
def test_words_of_a_pair_are_those_of_its_texts(first: str, second: str, max_length: int) -> None:
    alone = [[number + 1 if number >= 2 else number for number in row] for row in of_each(first, second)]
    kept = longest_first(len(alone[0]), len(alone[1]), max_length - 1)
    found = PAIRS.encode([joined(first, second)], max_length)
    assert found.ids.tolist() == [*alone[0][: kept[0]], 2, *alone[1][: kept[1]]]
    assert found.truncated[0] == (sum(kept) < sum(map(len, alone)))


def of_each(first: str, second: str) -> list[list[int]]:
    return rows(Words(ENTRIES).encode([first, second], 1000))


def test_a_single_text_has_the_same_entries_with_and_without_pairs() -> None:
    texts = ["good movie!", "", "goodmovieo xyz", "电 good " * 700]
    plain, found = Words(ENTRIES).encode(texts, 900), PAIRS.encode(texts, 900)
    assert [[n - 1 if n > 2 else n for n in row] for row in rows(found)] == rows(plain)


def test_without_pairs_the_separator_is_white_space_as_ever() -> None:
    assert rows(Words(ENTRIES).encode([joined("good", "movie")], 8)) == [[2, 3]]


def test_a_vocabulary_of_single_texts_is_written_as_ever() -> None:
    expected = b'{"kind":"words","version":1,"lowercase":true,"entries":["good"]}\n'
    assert Words(("good",)).dump() == expected
    of_pairs = json.loads(Words(("good",), pairs=True).dump())
    assert (of_pairs["version"], of_pairs["pairs"]) == (2, True), "what knows version 1 alone must refuse it"
    plain = b'{"kind":"words","version":2,"lowercase":true,"pairs":false,"entries":["good"]}'
    assert Words.parse(plain).encode(["good"], 4).ids.tolist() == [2]


def test_words_are_counted_in_both_texts_and_the_separator_is_none() -> None:
    counts = vocabulary.count_words([joined("good movie", "Good!"), joined("x" * 1200, "movie")])
    assert (counts["good"], counts["movie"], counts["!"]) == (2, 2, 1)
    assert not any(SEPARATOR in word for word in counts)


@pytest.mark.parametrize("tokenizer", [PAIRS, BertWordPiece(PIECES)], ids=lambda tokenizer: tokenizer.kind)
def test_long_texts_of_a_pair_are_cut_as_short_ones(tokenizer: tokens.Tokenizer) -> None:
    """Texts above a thousand characters take a lazy way; white space sends a short text down it."""
    for first, second in pairs_of(["good " * count for count in range(14)], 100):
        short = tokenizer.encode([joined(first, second)], 11)
        long = tokenizer.encode([joined(first + " " * 1000, second + " " * 1000)], 11)
        assert (rows(short), short.truncated.tolist()) == (rows(long), long.truncated.tolist())


# --- equality with the library ----------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 30), st.integers(2, 40))
def test_both_texts_keep_what_fits(first: int, second: int, room: int) -> None:
    kept = longest_first(first, second, room)
    assert sum(kept) == min(first + second, room)
    assert kept[0] <= first
    assert kept[1] <= second
    # No text is cut below the other's length.
    assert all(
        have == own or have >= min(other - 1, room // 2)
        for have, own, other in zip(kept, (first, second), kept[::-1], strict=True)
    )


@pytest.mark.parametrize("max_length", [5, 6, 7, 8, 16, 33, 512])
def test_wordpiece_equals_the_library(max_length: int) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary_ = vocabulary_of_characters()
    theirs = tokenizers.BertWordPieceTokenizer(dict(zip(vocabulary_, range(len(vocabulary_)), strict=True)))
    theirs.add_special_tokens(list(PIECES[:5]))
    theirs.enable_truncation(max_length)
    ours = BertWordPiece(vocabulary_)
    texts = [text.replace(SEPARATOR, " ") for text in fuzz(1000)]
    some = pairs_of(texts, 500) + pairs_of(counted(min(max_length, 40)), 500)
    if max_length > 16:  # what the library cuts off it keeps in pieces, which of long texts are many
        some += pairs_of(["x " * 600, "x " * 601, "x", ""], 20)  # more than a thousand characters
    expected = theirs.encode_batch(some)
    found = ours.encode([joined(*pair) for pair in some], max_length)
    wrong = [
        pair
        for pair, mine, its, cut in zip(some, rows(found), expected, found.truncated, strict=True)
        if mine != its.ids or cut != bool(its.overflowing)
    ]
    assert not wrong, wrong[:5]


def test_what_wordpiece_saves_reads_pairs_in_transformers_too(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = BertWordPiece(vocabulary_of_characters())
    ours.save(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    some = pairs_of([text.replace(SEPARATOR, " ") for text in fuzz(200)], 200)
    read = theirs([pair[0] for pair in some], [pair[1] for pair in some], truncation=True, max_length=24)
    assert read["input_ids"] == rows(ours.encode([joined(*pair) for pair in some], 24))


@pytest.mark.parametrize("max_length", [6, 7, 8, 33])
def test_any_other_tokenizer_frames_pairs_by_its_own_template(max_length: int) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(
        ["the good movie " * 20], vocab_size=300, special_tokens=["<s>", "<pad>", "</s>"]
    )
    made.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    ours = HuggingFaceTokenizer(made.to_str().encode(), b'{"pad_token": "<pad>"}')
    made.enable_truncation(max_length)
    texts = ["the " * count for count in range(12)]
    some = pairs_of(texts, 200)
    mixed = [*(joined(*pair) for pair in some), *texts]
    found = ours.encode(mixed, max_length)
    expected = made.encode_batch([*some, *texts])
    assert rows(found) == [one.ids for one in expected]
    assert found.truncated.tolist() == [bool(one.overflowing) for one in expected]
    assert rows(found)[0].count(2) == 3, "between the texts there are two"


# --- what both have in common -----------------------------------------------------------------------------------------


@given(st.lists(st.text("ab [SEP]\x1f\x1c\ud800", max_size=30), max_size=6), st.integers(5, 9))
def test_a_batch_of_pairs_and_texts_is_them_one_by_one(texts: list[str], max_length: int) -> None:
    for tokenizer in (PAIRS, BertWordPiece(PIECES)):
        together = tokenizer.encode(texts, max_length)
        assert rows(together) == [rows(tokenizer.encode([text], max_length))[0] for text in texts]
        assert together.lengths.max(initial=1) <= max_length


def test_one_text_may_hold_what_separates_two() -> None:
    """Then the first separator is the one that counts."""
    text = f"good{SEPARATOR}movie{SEPARATOR}good"
    assert parts(text) == ("good", f"movie{SEPARATOR}good")
    assert rows(PAIRS.encode([text], 8)) == [[3, 2, 4, 3]]


@pytest.mark.parametrize(
    ("tokenizer", "needed"), [(PAIRS, 3), (BertWordPiece(PIECES), 5)], ids=["words", "bert-wordpiece"]
)
def test_no_room_for_a_pair_is_refused(tokenizer: tokens.Tokenizer, needed: int) -> None:
    assert len(tokenizer.encode([joined("good", "good good")], needed)) == 1
    with pytest.raises(InputError, match=r"a pair of texts needs \d special ids and one of each text"):
        tokenizer.encode([joined("good", "good")], needed - 1)
    assert tokenizer.encode(["good"], needed - 1).truncated.tolist() == [False]
