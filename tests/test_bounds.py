"""What a stranger's bundle may cost: nothing in it makes a short text take a large memory, or a long time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle

from stepdown.errors import BundleError, inert
from stepdown.runtime import About, Classifier, bundle, classifier
from stepdown.runtime.about import decode, encode
from stepdown.runtime.graph.operators import RULES
from stepdown.runtime.predict import answer_all, answers
from stepdown.runtime.rows import Row
from stepdown.runtime.sinks import json_lines
from stepdown.tokens import BertWordPiece, HuggingFaceTokenizer, Words, flat

TEXTS = ["good movie", "", "bad ! bad", "not a bad movie .", "the good " * 30] * 5


# --- vocabularies -----------------------------------------------------------------------------------------------------


def test_too_many_entries_are_refused_before_anything_is_made_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_ids(entries: list[str], first: int) -> dict[str, bytes]:
        raise AssertionError("ids were made")

    monkeypatch.setattr("stepdown.tokens.words.numbered", no_ids)
    monkeypatch.setattr("stepdown.tokens.wordpiece.numbered", no_ids)
    count = flat.MOST_ENTRIES + 1
    words = {"kind": "words", "version": 1, "lowercase": True, "entries": [""] * count}
    with pytest.raises(BundleError, match=f"has {count:,} entries"):
        Words.parse(json.dumps(words).encode())
    with pytest.raises(BundleError, match=f"has {count:,} pieces"):
        BertWordPiece.parse(b"\n" * count)


# --- tokenizers of the library ----------------------------------------------------------------------------------------


def described(**changes: Any) -> bytes:
    """A tokenizer.json of three words, with these changes."""
    pytest.importorskip("tokenizers")
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "b": 2}, "unk_token": "[UNK]"}
    parts = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    about = {"version": "1.0", "added_tokens": [], "model": model} | dict.fromkeys(parts)
    return json.dumps({**about, "pre_tokenizer": {"type": "Whitespace"}, **changes}).encode()


def replacing(what: str, by: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": what}, "content": by}


def test_a_frame_of_very_many_ids_is_refused() -> None:
    frame = {"id": "a", "ids": [1] * 100_000, "tokens": ["a"] * 100_000}
    single = [{"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    pair = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    processor = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": {"a": frame}}
    with pytest.raises(BundleError, match="puts 100,000 special ids around a text"):
        HuggingFaceTokenizer(described(post_processor=processor))


def test_words_of_any_length_are_not_looked_up() -> None:
    model = {"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##a": 2}, "unk_token": "[UNK]"}
    model |= {"continuing_subword_prefix": "##", "max_input_chars_per_word": 10**9}
    with pytest.raises(BundleError, match="looks up words of 1,000,000,000 characters"):
        HuggingFaceTokenizer(described(model=model))


@pytest.mark.parametrize("texts", [["a" * 3000], ["a"] * 3000, ["b " * 3000 + "a" * 300]])
def test_texts_that_become_far_longer_are_refused(texts: list[str]) -> None:
    found = HuggingFaceTokenizer(described(normalizer=replacing("a", "b " * 8000)))
    assert found.encode(["b b"], 1 << 20).lengths.tolist() == [2]
    with pytest.raises(BundleError, match="makes texts more than 20 times as long"):
        found.encode(texts, 1 << 20)


def test_texts_that_unicode_makes_longer_are_read() -> None:
    """As ALBERT's: signs are replaced, then all is decomposed; some signs become eighteen letters."""
    steps = [replacing("``", '"'), {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]
    found = HuggingFaceTokenizer(described(normalizer={"type": "Sequence", "normalizers": steps}))
    assert found.encode(["\ufdfa" * 3000, "A b " * 30_000], 1000).lengths.tolist() == [1000, 1000]


# --- scores -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_scores_are_held_a_few_at_a_time(task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of 264 kB with 100,000 labels made `predict` take ten gigabytes for 4,096 short texts."""
    labels = ("a", "b", "c") if task != "regression" else ("stars",)
    files = tiny_bundle.contents(tmp_path, tiny_bundle.model(*tiny_bundle.weights(labels=len(labels))))
    made = bundle.Bundle(tiny_bundle.about(labels, task=task), files)
    usual = Classifier(made)
    monkeypatch.setattr(classifier, "_MOST_SCORES", 7 * len(labels))
    careful = Classifier(made)
    run, read = careful._network.run, []

    def recorded(encoded: flat.Tokens, which: np.ndarray | None = None) -> np.ndarray:
        read.append(len(encoded))
        return run(encoded, which)

    monkeypatch.setattr(careful._network, "run", recorded)
    assert careful.window == 7
    assert careful.predict(TEXTS) == usual.predict(TEXTS)
    assert answers(careful, TEXTS, 0) == answers(usual, TEXTS, 0)
    assert np.allclose(careful.logits(TEXTS), usual.logits(TEXTS), atol=1e-6)
    assert max(read) == 7


def test_answers_are_handed_on_a_few_at_a_time() -> None:
    held: list[int] = []
    rows = [Row(number, text) for number, text in enumerate(TEXTS, 1)]
    counts = answer_all(
        lambda texts: [{"text": text} for text in texts],
        [[*rows]],
        lambda rows, said: held.append(len(rows)),
        most=10,
    )
    assert held == [10, 10, 5]
    assert counts.rows == 25


# --- terminals --------------------------------------------------------------------------------------------------------


def test_what_steers_a_terminal_is_spelled_out() -> None:
    assert inert("a\tb\nc é 電 😂\u200d") == "a\tb\nc é 電 😂\u200d"
    assert inert("\x1b[2J\x9b2J\u202ex\r") == "\\u001b[2J\\u009b2J\\u202ex\\u000d"


def test_json_lines_do_not_steer_a_terminal() -> None:
    written: list[bytes] = []
    label = "\x1b]0;x\x07\x9b2J\u202e"
    json_lines(written.append, ())([Row(1, "é")], [{"text": "é", "label": label}])
    line = written[0].decode()
    assert json.loads(line) == {"text": "é", "label": label}
    assert line.rstrip("\n").isprintable()


# --- messages ---------------------------------------------------------------------------------------------------------


def test_what_a_bundle_says_is_quoted_in_a_few_words(tmp_path: Path) -> None:
    long, files = "x" * 100_000, tiny_bundle.contents(tmp_path)
    about = tiny_bundle.about()
    for weights in (replace(about.weights, format=long), replace(about.weights, file=long)):
        with pytest.raises(BundleError) as told:
            _classifier(replace(about, weights=weights), files)
        assert len(str(told.value)) < 400


def _classifier(about: About, files: dict[str, bytes]) -> Classifier:
    return Classifier(bundle.Bundle(decode(encode(about, files), "b")[0], files))


def test_what_the_library_quotes_is_cut() -> None:
    for changes in ({"version": "x" * 100_000}, {"added_tokens": "x" * 100_000}):
        with pytest.raises(BundleError, match=r"cannot be read by tokenizers .*xxx") as told:
            HuggingFaceTokenizer(described(**changes))
        assert len(str(told.value)) < 600


def test_the_documentation_lists_the_operators_that_are_read() -> None:
    text = (Path(__file__).parent.parent / "docs" / "bundle.md").read_text(encoding="utf-8")
    listed = text.split("readers refuse all others:\n")[1].split(".\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(RULES)
