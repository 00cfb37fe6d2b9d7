"""Tokenizers: their vectors, their equality with the libraries, and the arrays that they fill."""

from __future__ import annotations

import json
import random
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepdown import tokens
from stepdown.errors import BundleError, InputError, ModelError
from stepdown.tasks import SEPARATOR, joined
from stepdown.tokens import BertWordPiece, HuggingFaceTokenizer, Reading, Tokens, Words
from stepdown.tokens.sentences import sentences

VECTORS = Path(__file__).parent / "vectors"
HARD_TEXTS = [
    "",
    " \t\n",
    "\x00\x1c\x85\u200b\ufeff",
    "😂👨‍👩‍👧❤️🏳️‍🌈",
    "这部电影很好看。",
    "هذا الفيلم رائع שלום",
    "हिन्दी ไทย",
    b"\xff\xfe\x80abc\xc3".decode("utf-8", "surrogateescape"),
    "\ud800 half a pair \udfff",
    "a" * 5000,
    "é" * 3000,
    "!" * 5000,
    "good movie " * 3000,
    "不" * 3000,
    "[CLS] [SEP][MASK] [UNK",
]
WORDS = Words(("good", "movie", "go", "o", "d", "!", "n't", "m", "电"))
PIECES = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "##b",
    "good",
    "movie",
    "!",
    "e",
    "电",
    "##ie",
    "mov",
)
TOKENIZERS = [WORDS, BertWordPiece(PIECES)]


def rows(found: Tokens) -> list[list[int]]:
    return [found.ids[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]


def vectors(name: str) -> list[Any]:
    return list(json.loads((VECTORS / name).read_text(encoding="utf-8")))


def text_of(case: dict[str, Any]) -> str:
    """The text of a case, or its pair as the one string that it is within the package."""
    return joined(*case["pair"]) if "pair" in case else str(case["text"])


# --- the shared vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize("group", vectors("words.json"))
def test_words_gives_the_shared_vectors(group: dict[str, Any]) -> None:
    tokenizer = Words(group["entries"], group["lowercase"], group.get("pairs", False))
    for case in group["cases"]:
        found = tokenizer.encode([text_of(case)], group["max_length"])
        assert "pair" in case or tokenizer.words(case["text"]) == case["words"], case
        assert found.ids.tolist() == case["ids"], case
        assert found.truncated.tolist() == [case["truncated"]], case


@pytest.mark.parametrize("group", vectors("bert-wordpiece.json"))
def test_wordpiece_gives_the_shared_vectors(group: dict[str, Any]) -> None:
    reading = Reading(group["do_lower_case"], group["strip_accents"], group["tokenize_chinese_chars"])
    tokenizer = BertWordPiece(group["vocabulary"], reading)
    for case in group["cases"]:
        found = tokenizer.encode([text_of(case)], group["max_length"])
        assert found.ids.tolist() == case["ids"], case
        assert found.truncated.tolist() == [case["truncated"]], case


@pytest.mark.parametrize("case", vectors("sentences.json"), ids=lambda case: case["text"][:20])
def test_sentences_are_those_of_the_shared_vectors(case: dict[str, Any]) -> None:
    assert list(sentences(case["text"])) == case["sentences"]


def test_sentences_take_time_in_proportion_to_the_text() -> None:
    assert list(sentences("<" * 50_000)) == ["<" * 50_000]
    assert len(list(sentences("... " * 20_000 + "A"))) <= 20_001
    assert list(sentences("." * 200_000 + "x")) == ["." * 200_000 + "x"]
    assert len(list(sentences("A. " * 200_000))) == 1, "initials, all of them"
    assert len(list(sentences("fine. then " * 100_000))) == 1
    assert list(sentences("&#" + "9" * 100_000 + "; &#" + "0" * 100_000 + "65;")) == ["\ufffd A"]


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ordinary", "treebank"),
    [
        ("Don't say it's “good”.", "do n't say it 's `` good '' ."),
        ("They’re (not) his—he'd cannot...", "they 're -lrb- not -rrb- his -- he 'd can not ..."),
        ("We'll and/or won't!", "we 'll and\\/or wo n't !"),
    ],
)
def test_ordinary_and_treebank_text_have_the_same_words(ordinary: str, treebank: str) -> None:
    assert WORDS.words(ordinary) == WORDS.words(treebank)


def _by_the_pattern(tokenizer: Words, chunk: str) -> tuple[list[str], list[int]]:
    """The words of a chunk and their ids without any of the quicker ways."""
    with pytest.MonkeyPatch.context() as without:
        without.setattr(Words, "_plain", lambda *_: ())
        without.setattr(Words, "_whole", lambda *_: None)
        return tokenizer.words(chunk), tokenizer.encode([chunk], 99).ids.tolist()


@given(st.text("cCaAnNoOtTsS12é'`\"-.,!?()[]\\/*_", max_size=12), st.booleans())
@example("-lrb-", True)
@example("a-lrb-", True)
@example("-lrb-a", False)
@example("x-rsb-y", True)
@example("'ll-a,", True)
@example("''a''", True)
@settings(max_examples=1000)
def test_the_commonest_chunks_are_read_as_all_others(chunk: str, lowercase: bool) -> None:
    """What is read without the pattern has the words and the ids that the pattern gives."""
    entries = (
        "can",
        "not",
        "cannot",
        "a",
        "an",
        "at",
        "sat",
        "s",
        "'s",
        "'",
        "-",
        ".",
        ",",
        "no",
        "A",
        "Cat",
    )
    expected = _by_the_pattern(Words(entries, lowercase), chunk)
    tokenizer = Words(entries, lowercase)
    assert (tokenizer.words(chunk), tokenizer.encode([chunk], 99).ids.tolist()) == expected


@pytest.mark.parametrize(
    "word",
    [
        "cannot",
        "Cannot",
        "CANNOT",
        "cannot,",
        '"cannot',
        "cannot's",
        "can't",
        "'s",
        "let's",
        "cannot-do",
        "'ll.",
    ],
)
def test_what_looks_common_but_is_not_is_read_by_the_pattern(word: str) -> None:
    tokenizer = Words((*WORDS.entries, "cannot", "let", "do"))
    expected = _by_the_pattern(Words(tokenizer.entries), word)
    assert (tokenizer.words(word), tokenizer.encode([word], 99).ids.tolist()) == expected


def test_longest_entry_wins_and_unknown_runs_collapse() -> None:
    names = ["[pad]", "[unk]", *WORDS.entries]
    spelled = [names[number] for number in WORDS.encode(["goodmovieo xyzgoxyz"], 16).ids]
    assert spelled == ["good", "movie", "o", "[unk]", "go", "[unk]"]


# A separator would make a pair, which needs more room than some of these lengths have.
@given(
    st.lists(st.text(st.characters(exclude_characters=SEPARATOR), max_size=60), max_size=8), st.integers(1, 9)
)
def test_a_batch_is_its_texts_one_by_one(texts: list[str], max_length: int) -> None:
    for tokenizer in (WORDS, TOKENIZERS[1]):
        limit = max_length + 2
        together = tokenizer.encode(texts, limit)
        assert rows(together) == [rows(tokenizer.encode([text], limit))[0] for text in texts]
        assert together.lengths.max(initial=1) <= limit
        assert together.lengths.min(initial=1) >= 1
        assert np.all((together.ids >= 0) & (together.ids < tokenizer.vocab_size))


@given(st.text(alphabet="ab'nt\u2019 .\u00e9\u0301\u4e2d\U0001f600\x00\u3000", max_size=1100))
def test_long_texts_are_read_as_short_ones(text: str) -> None:
    """Texts above a thousand characters take a lazy way; padding with spaces sends a short text down it."""
    for tokenizer in TOKENIZERS:
        short = text[:990]
        assert rows(tokenizer.encode([short], 12)) == rows(tokenizer.encode([short + " " * 200], 12))
        assert WORDS.words(short) == WORDS.words(short + " " * 200)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.kind)
def test_truncation_is_told_and_exact(tokenizer: tokens.Tokenizer) -> None:
    special = 2 if tokenizer.kind == "bert-wordpiece" else 0
    for count in (3, 2000):
        text = "good " * count
        exact = tokenizer.encode([text], count + special)
        cut = tokenizer.encode([text], count + special - 1)
        assert not exact.truncated[0]
        assert cut.truncated[0]
        assert cut.lengths[0] == exact.lengths[0] - 1
    assert special == 0 or cut.ids[-1] == PIECES.index("[SEP]")


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.kind)
def test_hard_texts_are_read(tokenizer: tokens.Tokenizer) -> None:
    found = tokenizer.encode(HARD_TEXTS, 32)
    assert len(found) == len(HARD_TEXTS)
    assert found.lengths.min() >= 1
    assert found.lengths.max() <= 32


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.kind)
def test_a_text_of_megabytes_is_read_no_further_than_needed(tokenizer: tokens.Tokenizer) -> None:
    text = "good movie! " * 500_000
    memo = tokenizer._bytes  # type: ignore[attr-defined]
    memo.clear()
    found = tokenizer.encode([text], 64)
    assert found.truncated[0]
    assert found.lengths[0] == 64
    assert len(memo) <= 2


def test_the_memory_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepdown.tokens.flat._MOST_KEPT", 16)
    tokenizer = Words(("a", "b"))
    texts = [f"a{number} b" for number in range(200)]
    found = tokenizer.encode(texts, 8)
    assert rows(found) == rows(tokenizer.encode(texts, 8))
    assert len(tokenizer._bytes) <= 16
    assert len(tokenizer._bytes._before) <= 16


@pytest.mark.parametrize(
    ("entries", "says"),
    [(("a", ""), "empty"), (("a", "b", "a"), "'a' twice"), (("\ud800",), "not valid Unicode")],
)
def test_a_bad_vocabulary_is_refused(entries: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Words(entries)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda tokenizer: tokenizer.kind)
def test_no_room_for_a_text_is_refused(tokenizer: tokens.Tokenizer) -> None:
    with pytest.raises(InputError, match="Choose a larger one"):
        tokenizer.encode(["good"], 2 if tokenizer.kind == "bert-wordpiece" else 0)


# --- on disk --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tokenizer",
    [
        Words(("ﬀ", "\n", "a\u2028", "😂"), lowercase=False),
        Words(("good", "movie"), pairs=True),
        BertWordPiece(PIECES, Reading(False, True, False)),
    ],
    ids=lambda tokenizer: tokenizer.kind,
)
def test_a_saved_tokenizer_comes_back(tokenizer: tokens.Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    spec = tokenizer.spec()
    files = {name: (tmp_path / name).read_bytes() for name in spec["files"]}
    for found in (tokens.load(tmp_path), tokens.parse(spec["kind"], files)):
        assert (found.kind, found.pad_id, found.vocab_size, found.spec()) == (
            tokenizer.kind,
            tokenizer.pad_id,
            tokenizer.vocab_size,
            spec,
        )
        assert rows(found.encode(HARD_TEXTS, 16)) == rows(tokenizer.encode(HARD_TEXTS, 16))
    assert {file.name for file in tmp_path.iterdir()} == set(spec["files"])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"kind":"words"}',
        b'{"kind":"words","version":3,"lowercase":true,"entries":[]}',
        b'{"kind":"words","version":2,"lowercase":true,"entries":[]}',
        b'{"kind":"words","version":2,"lowercase":true,"pairs":1,"entries":[]}',
        b'{"kind":"words","version":1,"lowercase":1,"entries":[]}',
        b'{"kind":"words","version":1,"lowercase":true,"entries":["a",3]}',
        b'{"kind":"words","version":1,"lowercase":true,"entries":["a","a"]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_words_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"words\.json"):
        tokens.load(tmp_path)


def test_damaged_wordpiece_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"vocab\.txt is not UTF-8"):
        BertWordPiece.parse(b"\xff")
    with pytest.raises(BundleError, match=r"vocab\.txt has no \[UNK\], \[CLS\], \[SEP\]"):
        BertWordPiece.parse(b"[PAD]\na\n")
    with pytest.raises(BundleError, match='"do_lower_case" is 3'):
        BertWordPiece.parse("\n".join(PIECES).encode(), b'{"do_lower_case": 3}')
    with pytest.raises(BundleError, match="'syllables'"):
        tokens.parse("syllables", {})
    with pytest.raises(ModelError, match="no tokenizer that can be read"):
        tokens.load(tmp_path)


# --- equality with the libraries ------------------------------------------------------------------


def vocabulary_of_characters() -> list[str]:
    """A vocabulary in which nearly every difference in reading shows as a different id."""
    characters = [chr(c) for c in range(0x21, 0x250)] + list("ΣσςéçÇİıﬁ你好שלוםم١Ⅷ½…—’“😂❤ѐ") + ["̈", "́"]
    pieces = [*PIECES[:5], *dict.fromkeys(c for c in characters if not c.isspace()), "the", "good", "movie"]
    return list(dict.fromkeys(pieces + [f"##{c}" for c in pieces[5:]]))


def fuzz(count: int) -> list[str]:
    letters = [*"abZéßΣσς'\"-[].SEPCLU\n\t\x00\x1c\x85\u2028\u200b\u0301\u0308\ufffd\u00ad \u3000"]
    letters += [*"çÇİıﬁ你好😂❤️שם١Ⅷ½…—’"]
    letters += ["[SEP]", "[MASK]", "[unk]", "##a", "the", "good", "👨‍👩‍👧"]
    random_ = random.Random(0)
    return ["".join(random_.choices(letters, k=random_.randint(0, 40))) for _ in range(count)]


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("ideographs", [True, False])
def test_wordpiece_equals_the_library(lowercase: bool, strip_accents: bool | None, ideographs: bool) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = vocabulary_of_characters()
    theirs = tokenizers.BertWordPieceTokenizer(
        dict(zip(vocabulary, range(len(vocabulary)), strict=True)),
        lowercase=lowercase,
        strip_accents=strip_accents,
        handle_chinese_chars=ideographs,
    )
    theirs.add_special_tokens(list(PIECES[:5]))
    ours = BertWordPiece(vocabulary, Reading(lowercase, strip_accents, ideographs))
    # Blocks that Unicode has hardly touched since version 8, on whose tables the library stands.
    blocks = chain(range(0x600), range(0x1E00, 0x2E00), range(0x3000, 0x3100), range(0xFE00, 0xFFFE))
    # Texts that hold what stands between the two of a pair are pairs: see test_token_pairs.py.
    every = [f"a{chr(c)}b {chr(c)}{chr(c)}" for c in blocks if chr(c) != SEPARATOR]
    texts = [*fuzz(3000), "[SE\x0bP]", "[SEP\x85]", "a" * 100, "a" * 101, "é" * 101, "x" * 5000]
    for max_length, some in ((512, texts), (8, texts), (64, every)):
        theirs.enable_truncation(max_length)
        expected = theirs.encode_batch(some)
        found = ours.encode(some, max_length)
        wrong = [
            text
            for text, mine, its, cut in zip(some, rows(found), expected, found.truncated, strict=True)
            if mine != its.ids or cut != bool(its.overflowing)
        ]
        assert not wrong, wrong[:5]


def test_what_wordpiece_saves_is_read_by_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = BertWordPiece(vocabulary_of_characters(), Reading(do_lower_case=False))
    ours.save(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = fuzz(200)
    assert theirs(texts)["input_ids"] == rows(ours.encode(texts, 512))
    # And what transformers saves of it is recognised as BERT's again.
    theirs.save_pretrained(tmp_path / "again")
    again = tokens.from_huggingface(tmp_path / "again")
    assert isinstance(again, BertWordPiece)
    assert again.vocabulary == ours.vocabulary
    assert again.reading.do_lower_case is False


@pytest.mark.parametrize(
    "change", ["pre_tokenizer", "normalizer", "post_processor", "added_tokens", "prefix"]
)
def test_a_tokenizer_that_differs_from_berts_is_not_taken_for_it(change: str, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = dict(zip(PIECES, range(len(PIECES)), strict=True))
    stock = tokenizers.BertWordPieceTokenizer(vocabulary)
    stock.add_special_tokens(list(PIECES[:5]))
    about = json.loads(stock.to_str())
    (tmp_path / "tokenizer.json").write_text(json.dumps(about))
    assert isinstance(tokens.from_huggingface(tmp_path), BertWordPiece)
    if change == "pre_tokenizer":
        about["pre_tokenizer"] = {"type": "Whitespace"}
    elif change == "normalizer":
        about["normalizer"] = None
    elif change == "post_processor":
        about["post_processor"] = None
    elif change == "added_tokens":
        about["added_tokens"][0]["lstrip"] = True
    else:
        about["model"]["continuing_subword_prefix"] = "@@"
    (tmp_path / "tokenizer.json").write_text(json.dumps(about))
    assert isinstance(tokens.from_huggingface(tmp_path), HuggingFaceTokenizer)


def byte_tokenizer(folder: Path) -> Path:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(
        ["the good movie " * 20], vocab_size=300, special_tokens=["<s>", "<pad>", "</s>"]
    )
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"pad_token": "<pad>"}')
    return folder


def test_any_other_tokenizer_runs_through_the_library(tmp_path: Path) -> None:
    found = tokens.load(byte_tokenizer(tmp_path))
    assert isinstance(found, HuggingFaceTokenizer)
    assert found.pad_id == 1
    encoded = found.encode([*HARD_TEXTS, "the good movie"], 8)
    assert encoded.lengths.min() >= 1
    assert encoded.lengths.max() == 8
    assert encoded.truncated.tolist()[-1] is False
    assert encoded.ids.max() < found.vocab_size
    (tmp_path / "again").mkdir()
    found.save(tmp_path / "again")
    assert rows(tokens.load(tmp_path / "again").encode(HARD_TEXTS, 8)) == rows(found.encode(HARD_TEXTS, 8))


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    byte_tokenizer(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match=r'pip install "stepdown\[hf\]"'):
        tokens.load(tmp_path)


# --- arrays ---------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=6), max_size=8), st.data())
def test_arrays_agree_with_lists(ids: list[list[int]], data: st.DataObject) -> None:
    from stepdown.tokens.flat import from_lists

    held = from_lists(ids, [len(row) % 2 == 0 for row in ids])
    choice = st.lists(st.integers(0, len(ids) - 1), max_size=12) if ids else st.just([])
    indices = np.array(data.draw(choice), np.int64)
    chosen = [ids[i] for i in indices]
    assert rows(held) == ids
    taken = held.take(indices)
    assert rows(taken) == chosen
    assert taken.truncated.tolist() == [len(row) % 2 == 0 for row in chosen]
    padded, lengths = held.pad(indices, 0)
    longest = max(map(len, chosen), default=0)
    assert padded.tolist() == [row + [0] * (longest - len(row)) for row in chosen]
    assert lengths.tolist() == [len(row) for row in chosen]
    assert padded.dtype == lengths.dtype == np.int64
    both = Tokens.concat([held, taken])
    assert rows(both) == ids + chosen
    assert len(Tokens.concat([])) == 0
