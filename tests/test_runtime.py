"""Bundles: what is written is read, what is damaged is refused, and what is asked is answered."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import stat
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
from hypothesis import given
from hypothesis import strategies as st
from test_tokens import HARD_TEXTS

from stepdown.errors import BundleError, InputError, StoreError
from stepdown.runtime import About, Classifier, LongTexts, bundle
from stepdown.runtime.about import decode, encode
from stepdown.runtime.network import split
from stepdown.tokens import sentences as cutter
from stepdown.tokens import words
from stepdown.tokens.sentences import sentences

TEXTS = ["good movie!", "not a bad movie.", "the", "", "good " * 40, "do n't", *HARD_TEXTS]


@pytest.fixture(params=["folder", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A bundle in each of its two forms."""
    target = tmp_path / ("bundle" if request.param == "folder" else "bundle.stepdown")
    bundle.write(target, tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    return target


@pytest.fixture
def classifier(tmp_path: Path) -> Classifier:
    return Classifier(bundle.Bundle(tiny_bundle.about(), tiny_bundle.contents(tmp_path)))


def expected_logits(texts: list[str], max_length: int = 16) -> np.ndarray:
    """What the tiny network says, computed by hand, text by text."""
    table, matrix = tiny_bundle.weights()
    encoded = tiny_bundle.WORDS.encode(texts, max_length)
    spans = zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)
    return np.stack([table[encoded.ids[a:b]].mean(0) @ matrix for a, b in spans])


# --- a bundle and its two forms ---------------------------------------------------------------------


def test_what_is_written_is_read(path: Path, tmp_path: Path) -> None:
    found = bundle.read(path)
    assert found.about == tiny_bundle.about()
    assert dict(found.files) == tiny_bundle.contents(tmp_path)
    assert found.card == "# Tiny\n"


def test_a_classifier_answers_as_its_network(path: Path) -> None:
    found = Classifier.load(path)
    logits = expected_logits(TEXTS)
    assert found.label_names == tiny_bundle.LABELS
    assert found.max_length == 16
    assert found.card == "# Tiny\n"
    np.testing.assert_allclose(found.logits(TEXTS), logits, atol=1e-5)
    assert found.predict(TEXTS) == [tiny_bundle.LABELS[index] for index in logits.argmax(1)]
    cooled = np.exp(logits / 2.0)  # the temperature of the bundle
    probabilities = found.predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities, cooled / cooled.sum(1, keepdims=True), atol=1e-5)
    assert probabilities.dtype == np.float32
    assert found.read(TEXTS)[1].tolist() == tiny_bundle.WORDS.encode(TEXTS, 16).truncated.tolist()


def test_writing_is_the_same_bytes_each_time_and_replaces_a_bundle(tmp_path: Path) -> None:
    files = tiny_bundle.contents(tmp_path)
    for target in (tmp_path / "b", tmp_path / "b.stepdown"):
        bundle.write(target, tiny_bundle.about(max_length=5), files)
        bundle.write(target, tiny_bundle.about(), dict(reversed(files.items())))
        assert bundle.read(target).about.max_length == 16
    first = (tmp_path / "b.stepdown").read_bytes()
    bundle.write(tmp_path / "b.stepdown", tiny_bundle.about(), files)
    assert (tmp_path / "b.stepdown").read_bytes() == first
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["b", "b.stepdown", "words.json"]


def test_writing_leaves_alone_what_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is no bundle, so it is left as it is"):
        bundle.write(tmp_path, tiny_bundle.about(), {})
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_failed_write_leaves_the_old_bundle(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        bundle.write(path, tiny_bundle.about(max_length=5), tiny_bundle.contents(tmp_path))
    monkeypatch.undo()
    assert bundle.read(path).about.max_length == 16
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "about",
    [
        replace(tiny_bundle.about(), label_names=("a",)),
        replace(tiny_bundle.about(), label_names=("a", "a")),
        replace(tiny_bundle.about(), label_names=("a", "\ud800")),
        replace(tiny_bundle.about(), max_length=0),
        replace(tiny_bundle.about(temperature=float("nan"))),
        replace(tiny_bundle.about(temperature=0.0)),
        replace(tiny_bundle.about(), tokenizer={"kind": "words", "files": ["other.json"]}),
    ],
)
def test_what_could_not_be_read_is_not_written(about: About, tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        bundle.write(tmp_path / "b", about, tiny_bundle.contents(tmp_path))
    assert not (tmp_path / "b").exists()


# --- answers ----------------------------------------------------------------------------------------


def test_order_and_batches_change_nothing(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = random.Random(0)
    texts = [
        " ".join(choose.choices(["good", "bad", "movie", "not"], k=choose.randint(0, 15))) for _ in range(700)
    ]
    whole = classifier.logits(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_allclose(classifier.logits([texts[i] for i in order]), whole[order], atol=1e-5)
    alone = np.concatenate([classifier.logits([text]) for text in texts])
    np.testing.assert_allclose(alone, whole, atol=1e-5)
    for name, value in (
        ("network._IDS_PER_BATCH", 1),
        ("classifier._WINDOW", 13),
        ("network._IDS_FOR_THREADS", 0),
    ):
        monkeypatch.setattr(f"stepdown.runtime.{name}", value)
        np.testing.assert_allclose(classifier.logits(texts), whole, atol=1e-5)


def test_nothing_is_answered_with_nothing(classifier: Classifier) -> None:
    assert classifier.predict([]) == []
    assert classifier.predict_proba([]).shape == (0, 3)
    assert classifier.logits(()).shape == (0, 3)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("a bare text", r"pass \['a bare text'\]"),
        (["fine", 3], r"Text 1 is a int \(3\)"),
        ([None], "Text 0 is a NoneType"),
        ([b"bytes"], "Text 0 is a bytes"),
        ([("a", "pair")], "Text 0 is a tuple"),
        ({"a", "set"}, "found a set"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(classifier: Classifier, texts: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        classifier.predict(texts)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 300), max_size=300))
def test_every_text_is_in_one_batch_and_padding_is_little(lengths: list[int]) -> None:
    found = np.array(lengths, np.int64)
    batches = split(found)
    assert sorted(np.concatenate(batches).tolist() if batches else []) == list(range(len(lengths)))
    assert all(len(batch) * found[batch].max() <= 2048 or len(batch) == 1 for batch in batches)
    padding = sum(len(batch) * int(found[batch].max()) - int(found[batch].sum()) for batch in batches)
    assert padding <= 40 * len(set(lengths))


# --- long texts -------------------------------------------------------------------------------------

SHORT, LONG = "good movie", "Good movie! The movie is bad. Not good. " * 2
REVIEWS = [SHORT, LONG, "the " * 5, "<br /> <br />" * 3, "", "good " * 40 + ". Bad."]


def reader(tmp_path: Path, way: LongTexts | None, max_length: int = 16) -> Classifier:
    about = tiny_bundle.about(long_texts=way, max_length=max_length)
    return Classifier(bundle.Bundle(about, tiny_bundle.contents(tmp_path)))


def by_sentences(text: str, max_length: int = 16) -> np.ndarray:
    return expected_logits(list(sentences(text)) or [text], max_length).mean(0)


@pytest.mark.parametrize("above", [5, 16])
def test_long_texts_are_read_by_their_sentences(tmp_path: Path, above: int) -> None:
    lengths = tiny_bundle.WORDS.encode(REVIEWS, 1000).lengths
    assert (lengths > 16).any()
    whole = expected_logits(REVIEWS)
    cut = np.stack([by_sentences(text) for text in REVIEWS])
    long = (lengths > above)[:, None]
    found, truncated = reader(tmp_path, LongTexts(above, "sentences")).read(REVIEWS)
    np.testing.assert_allclose(found, np.where(long, cut, whole), atol=1e-5)
    sentence = [max(tiny_bundle.WORDS.encode(list(sentences(t)) or [t], 99).lengths) for t in REVIEWS]
    assert truncated.tolist() == [size > 16 for size in sentence]
    assert not truncated[1], "the whole of it is read"
    found, truncated = reader(tmp_path, LongTexts(above, "whole-and-sentences")).read(REVIEWS)
    np.testing.assert_allclose(found, np.where(long, (cut + whole) / 2, whole), atol=1e-5)
    assert truncated.tolist() == (lengths > 16).tolist(), "the whole text is read too"


def test_long_texts_are_read_as_they_were_where_nothing_is_said(tmp_path: Path) -> None:
    found, truncated = reader(tmp_path, None).read(REVIEWS)
    np.testing.assert_allclose(found, expected_logits(REVIEWS), atol=1e-5)
    assert truncated.tolist() == [False, True, False, True, False, True]
    assert b"long_texts" not in encode(tiny_bundle.about(), tiny_bundle.contents(tmp_path))


@pytest.mark.parametrize("texts", [[], [SHORT], [LONG], [LONG, SHORT, LONG]])
def test_long_and_short_texts_are_answered_alone_as_together(tmp_path: Path, texts: list[str]) -> None:
    for way in ("sentences", "whole-and-sentences"):
        asked = reader(tmp_path, LongTexts(5, way))  # type: ignore[arg-type]
        together = asked.logits(texts)
        assert together.shape == (len(texts), 3)
        for row, text in zip(together, texts, strict=True):
            np.testing.assert_allclose(row, asked.logits([text])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("long_texts", "says"),
    [
        (LongTexts(17, "sentences"), "whole number from 1 to 16"),
        (LongTexts(0, "sentences"), "whole number from 1 to 16"),
        (LongTexts(5, "paragraphs"), "one of sentences, whole-and-sentences"),  # type: ignore[arg-type]
    ],
)
def test_a_way_to_read_long_texts_that_cannot_be_is_refused(long_texts: LongTexts, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        encode(tiny_bundle.about(long_texts=long_texts), {"model.onnx": b"", "words.json": b""})


# --- what comes from a stranger ---------------------------------------------------------------------


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change the files of a bundle without renewing its checksums."""
    if path.is_dir():
        files = {file.name: file.read_bytes() for file in path.iterdir()}
        change(files)
        for file in path.iterdir():
            file.unlink()
        for name, content in files.items():
            (path / name).write_bytes(content)
        return
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "words.json", "README.md"])
@pytest.mark.parametrize("damage", ["missing", "shorter", "longer", "a byte", "empty"])
def test_damage_is_told_with_the_name_of_the_file(path: Path, name: str, damage: str) -> None:
    def change(files: dict[str, bytes]) -> None:
        content = files.pop(name)
        if damage == "shorter":
            files[name] = content[:-1]
        elif damage == "longer":
            files[name] = content + b" "
        elif damage == "a byte":
            middle = len(content) // 2
            files[name] = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        elif damage == "empty":
            files[name] = b""

    rewritten(path, change)
    with pytest.raises(BundleError, match=re.escape(name)) as error:
        bundle.read(path)
    assert "\n" not in str(error.value)


def test_mutated_bundles_are_refused_or_answer_the_same(path: Path, tmp_path: Path) -> None:
    """Whatever one bit or cut does to a bundle: a BundleError, or an answer that it did not touch."""
    choose = random.Random(1)
    expected = expected_logits(TEXTS[:3])
    refused = 0
    files = [path] if path.is_file() else sorted(path.iterdir())
    for _ in range(250):
        file = choose.choice(files)
        whole = file.read_bytes()
        content = bytearray(whole)
        at = choose.randrange(len(content))
        kind = choose.randrange(4)
        if kind == 0:
            content[at] ^= 1 << choose.randrange(8)
        elif kind == 1:
            del content[at : at + choose.randint(1, 50)]
        elif kind == 2:
            content[at:at] = choose.randbytes(choose.randint(1, 50))
        else:
            content[at : at + 8] = choose.randbytes(8)
        file.write_bytes(content)
        try:
            np.testing.assert_allclose(Classifier.load(path).logits(TEXTS[:3]), expected, atol=1e-5)
        except BundleError:
            refused += 1
        file.write_bytes(whole)
    assert refused > 210


def decoded(document: dict[str, object]) -> None:
    """Decode a document with a digest that fits, as a stranger could make one."""
    content = encode(tiny_bundle.about(), {"model.onnx": b"", "words.json": b""})
    whole = json.loads(content) | document | {"digest": "0" * 64}
    for key in [key for key, value in whole.items() if value == "left out"]:
        del whole[key]
    made = json.dumps(whole, indent=2).encode()
    decode(made.replace(b"0" * 64, hashlib.sha256(made).hexdigest().encode(), 1), "it")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"format": "zip"}, "'format' is 'zip'"),
        ({"version": 2}, r"version 2 of the format.*pip install -U stepdown"),
        ({"version": True}, "version True"),
        (
            {"task": {"kind": "ranking", "label_names": ["a", "b"]}},
            "'kind' is 'ranking'; expected one of single-l",
        ),
        ({"task": {"kind": "single-label", "label_names": ["a", ""]}}, "label_names"),
        ({"task": []}, r"'task' is \[\]; expected an object"),
        ({"max_length": 10**12}, "'max_length' is 1000000000000; expected a whole number"),
        ({"max_length": "16"}, "'max_length' is '16'"),
        ({"max_length": "left out"}, "has no 'max_length'"),
        ({"calibration": {"temperature": -1}}, "'temperature' is -1"),
        ({"calibration": {"temperature": True}}, "'temperature' is True"),
        ({"weights": {"file": "../model.onnx", "format": "onnx", "type": "float32"}}, "is needed but not"),
        (
            {"weights": {"file": "README.md", "format": "onnx", "type": "float32"}},
            "'README.md' is needed but not",
        ),
        ({"tokenizer": {"kind": "words", "files": []}}, "a list of 1 or more"),
        ({"files": {"../words.json": {"bytes": 1, "sha256": "0" * 64}}}, "'../words.json'.*Do not trust"),
        ({"files": {"/etc/passwd": {"bytes": 1, "sha256": "0" * 64}}}, "Do not trust"),
        ({"files": {"a\u0000b": {"bytes": 1, "sha256": "0" * 64}}}, "Do not trust"),
        ({"files": {"model.onnx": {"bytes": 10**18, "sha256": "0" * 64}}}, "'bytes' is 1000"),
        ({"files": {"model.onnx": {"bytes": 1, "sha256": "0"}}}, "64 hexadecimal digits"),
        ({"files": {f"f{n}": {"bytes": 1, "sha256": "0" * 64} for n in range(99)}}, "more than 32 files"),
        ({"sources": [3]}, "a list of objects"),
    ],
)
def test_what_cannot_be_is_told(document: dict[str, object], says: str) -> None:
    with pytest.raises(BundleError, match=says):
        decoded(document)


def test_later_additions_are_read() -> None:
    decoded({"thresholds": {"a": 0.5}, "calibration": {"temperature": 1, "method": "new"}})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"9" * 10_000],
)
def test_what_is_no_json_is_told(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"it (is not the JSON|must hold)"):
        decode(content, "it")


def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path: Path) -> None:
    target = tmp_path / "b"
    bundle.write(target, tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    (target / "model.onnx").rename(tmp_path / "elsewhere")
    (target / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"model\.onnx is not a plain file, and links"):
        bundle.read(target)
    (target / "model.onnx").unlink()
    os.mkfifo(target / "model.onnx")
    with pytest.raises(BundleError, match="not a plain file"):
        bundle.read(target)


def archive_with(tmp_path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    """A good archive and these entries behind it."""
    target = tmp_path / "b.stepdown"
    bundle.write(target, tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return target


def test_tricks_of_archives_are_refused(tmp_path: Path) -> None:
    for name in ("../evil", "/evil", "a/b", "C:evil", "a\\b", ".hidden"):
        with pytest.raises(BundleError, match="Do not trust this bundle"):
            bundle.read(archive_with(tmp_path, (name, b"x")))
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BundleError, match="as a link"):
        bundle.read(archive_with(tmp_path, (link, b"/etc/passwd")))
    with pytest.raises(BundleError, match=r"holds extra, which bundle\.json does not list"):
        bundle.read(archive_with(tmp_path, ("extra", b"x")))
    with pytest.raises(BundleError, match="more than 32 files"):
        bundle.read(archive_with(tmp_path, *((f"f{n}", b"") for n in range(40))))
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive_with(tmp_path, ("words.json", b"x"))
    with pytest.raises(BundleError, match=r"words\.json twice"):
        bundle.read(twice)


def test_an_archive_made_to_fill_a_memory_is_refused_unread(tmp_path: Path) -> None:
    zeros = bytes(64 * 2**20)
    files = tiny_bundle.contents(tmp_path) | {"README.md": zeros}
    bundle.write(tmp_path / "b.stepdown", tiny_bundle.about(), files)
    with pytest.raises(BundleError, match=r"README\.md would unpack .* to 67,108,864"):
        bundle.read(tmp_path / "b.stepdown")


def test_an_archive_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "b.stepdown"
    bundle.write(target, tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    content = target.read_bytes()
    size = len(tiny_bundle.contents(tmp_path)["model.onnx"])
    small = content.replace(size.to_bytes(4, "little"), (size - 8).to_bytes(4, "little"))
    assert small != content
    target.write_bytes(small)
    with pytest.raises(BundleError):
        bundle.read(target)


@pytest.mark.parametrize("make", ["nothing", "file", "folder", "model", "run"])
def test_what_is_no_bundle_is_told(tmp_path: Path, make: str) -> None:
    target = tmp_path / "b.stepdown"
    if make == "file":
        target.write_text("no archive")
    elif make == "run":
        bundle.write(target / "bundle", tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    elif make != "nothing":
        target.mkdir()
        (target / ("config.json" if make == "model" else "notes")).write_text("{}")
    says = {"file": "not a whole zip", "model": "That is a model", "run": r"Did you mean .*/bundle\?"}
    with pytest.raises(BundleError, match=says.get(make, "There is no bundle at")):
        Classifier.load(target)


# --- parts that do not fit ---------------------------------------------------------------------------


def test_a_stranger_who_renews_the_checksums_gains_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Damaged contents under fitting checksums: a BundleError, or some answer, and nothing is printed."""
    choose = random.Random(2)
    files = tiny_bundle.contents(tmp_path)
    for _ in range(400):
        name = choose.choice(["model.onnx", "model.onnx", "words.json"])
        content = bytearray(files[name])
        for _ in range(choose.randint(1, 3)):
            at = choose.randrange(len(content))
            content[at : at + choose.choice([1, 1, 4, 30])] = choose.randbytes(
                choose.choice([0, 1, 1, 4, 30])
            )
        try:
            made = Classifier(bundle.Bundle(tiny_bundle.about(), files | {name: bytes(content)}))
            assert made.predict_proba(TEXTS[:4]).shape == (4, 3)
        except BundleError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert capfd.readouterr() == ("", "")


def test_parts_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    table, matrix = tiny_bundle.weights()
    about = tiny_bundle.about()
    small = tiny_bundle.contents(tmp_path, tiny_bundle.model(table[:-1], matrix))
    with pytest.raises(BundleError, match="fails on 2 texts of 2 ids"):
        Classifier(bundle.Bundle(about, small))
    files = tiny_bundle.contents(tmp_path)
    with pytest.raises(BundleError, match=r"shape \(2, 3\); expected finite ones of shape \(2, 2\)"):
        Classifier(bundle.Bundle(replace(about, label_names=("a", "b")), files))
    broken = tiny_bundle.contents(tmp_path, tiny_bundle.model(table * np.nan, matrix))
    with pytest.raises(BundleError, match="expected finite"):
        Classifier(bundle.Bundle(about, broken))
    native = replace(about, weights=replace(about.weights, format="safetensors"))
    with pytest.raises(BundleError, match="need torch to run"):
        Classifier(bundle.Bundle(native, files))


# --- what it needs ----------------------------------------------------------------------------------


def test_it_loads_nothing_heavy_and_opens_no_connection(tmp_path: Path) -> None:
    bundle.write(tmp_path / "b", tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    script = f"""
import socket, sys
def refuse(*_, **__):
    raise AssertionError("a connection was opened")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from stepdown.runtime import Classifier
print(Classifier.load({str(tmp_path / "b")!r}).predict(["good movie"]))
heavy = set("torch transformers pydantic pyarrow scipy tokenizers onnx filelock rich http".split())
loaded = heavy & {{name.split(".")[0] for name in sys.modules}}
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in {str([label]) for label in tiny_bundle.LABELS}


def test_archives_can_be_read_from_any_zip_tool(tmp_path: Path) -> None:
    """Stored, not deflated, and in another order: still the same bundle."""
    target = tmp_path / "b.stepdown"
    bundle.write(target, tiny_bundle.about(), tiny_bundle.contents(tmp_path))
    with zipfile.ZipFile(target) as archive:
        files = {name: archive.read(name) for name in reversed(archive.namelist())}
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    target.write_bytes(again.getvalue())
    assert bundle.read(target).about == tiny_bundle.about()


# --- the page that specifies it ---------------------------------------------------------------------

PAGE = (Path(__file__).parent.parent / "docs" / "bundle.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return [textwrap.dedent(found) for found in re.findall(rf" *```{language}\n(.*?)```", PAGE, re.DOTALL)]


def test_the_example_of_the_page_is_read() -> None:
    (example,) = blocks("json")
    about, promises = decode(example.encode(), "docs/bundle.md")
    assert about.label_names == ("negative", "positive")
    assert set(promises) == {"README.md", "model.onnx", "words.json"}


def test_the_pattern_of_the_page_is_the_one_in_use() -> None:
    ends, pattern = blocks("regex")
    assert ends.strip() == cutter._END.pattern
    in_use = re.sub(r"#.*", "", words._WORD.pattern)
    assert re.sub(r"\s", "", pattern.replace("W", r"[a-z0-9\x02]")) == re.sub(
        r"\s", "", in_use.replace("\x02", r"\x02")
    )


def test_the_markup_and_the_abbreviations_of_the_page_are_those_in_use() -> None:
    for pattern in (cutter._BLOCK_TAG, cutter._INLINE_TAG):
        assert f"`{pattern.pattern.replace('?ai:', '?:')}`" in PAGE
    listed = re.search(r"in lower case, one of: (.*?)\.\n4\.", PAGE, re.DOTALL)
    assert listed is not None
    assert set(listed[1].split()) == cutter._ABBREVIATIONS


def test_the_signs_of_the_page_are_those_in_use() -> None:
    listed = PAGE[PAGE.index("2. **Signs.**") : PAGE.index("3. **Unicode.**")]
    codes = {int(code, 16) for code in re.findall(r"\b(?:U\+)?([0-9A-F]{4})\b", listed)}
    assert codes | {ord("`")} == set(words._PLAIN)
