"""The reference reader of docs/reader.py, which knows the format from docs/bundle.md alone, against ours."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepdown.errors import BundleError
from stepdown.runtime import Bundle, Classifier, bundle, shipped
from tests import bundle_vectors, every_kind
from tests.reference import FILE, reader
from tests.test_tokens import HARD_TEXTS, vectors

VECTORS = Path(__file__).parent / "vectors"
# Both compute in float32 and differ in how many texts they read at a time.
TOLERANCE = 1e-5


def test_it_is_short_and_stands_alone() -> None:
    source = FILE.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 200
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == {"numpy", "onnxruntime"}


# --- the shared vectors -----------------------------------------------------------------------------------------------


def asked(made: Any, case: dict[str, Any]) -> tuple[list[int], bool]:
    """The ids of a case, and whether it was cut, of a classifier of which only the tokenizer is there."""
    made.pairs = "pair" in case
    ids, cut = made.ids(case["pair"] if made.pairs else case["text"])
    return ids, cut


@pytest.mark.parametrize("name", ["words", "bert-wordpiece"])
def test_it_gives_the_shared_ids(name: str) -> None:
    for group in vectors(f"{name}.json"):
        if name == "words":
            told = {"kind": "words", "version": 2, "pairs": False} | group
            parts = reader.words({"words.json": json.dumps(told).encode()})
        else:
            vocabulary = "".join(f"{piece}\n" for piece in group["vocabulary"]).encode()
            config = json.dumps(group).encode()
            parts = reader.wordpiece({"vocab.txt": vocabulary, "tokenizer_config.json": config})
        made = reader.Classifier.__new__(reader.Classifier)
        made.encode, made.before, made.between, made.after = parts
        made.length = group["max_length"]
        for case in group["cases"]:
            assert asked(made, case) == (case["ids"], case["truncated"]), case


@pytest.mark.parametrize("case", vectors("sentences.json"), ids=lambda case: case["text"][:20])
def test_it_cuts_the_shared_sentences(case: dict[str, Any]) -> None:
    assert reader.sentences(case["text"]) == (case["sentences"] or [case["text"]])


def answers(made: Any, texts: list[Any]) -> tuple[list[Any], np.ndarray]:
    """What the reference reader says of texts, and the probabilities, or numbers, [texts, labels]."""
    said = [made.predict(text) for text in texts]
    return [one[0] for one in said], np.array([one[1] for one in said])


@pytest.mark.parametrize("group", vectors("bundles.json"), ids=lambda group: group["bundle"])
@pytest.mark.parametrize("kind", ["ours", "the reference"])
def test_both_say_what_the_shared_bundles_say(group: dict[str, Any], kind: str) -> None:
    path = VECTORS / group["bundle"]
    texts = [tuple(case["pair"]) if "pair" in case else case["text"] for case in group["cases"]]
    ours = Classifier.load(path)
    if kind == "ours":
        said: list[Any] = list(ours.predict(texts))
        numbers = ours.logits(texts) if ours.task == "regression" else ours.predict_proba(texts)
    else:
        said, numbers = answers(reader.Classifier(path), texts)
    for case, one, row in zip(group["cases"], said, numbers, strict=True):
        if "value" in case:
            assert one == pytest.approx(case["value"], abs=TOLERANCE)
            continue
        np.testing.assert_allclose(row, case["probabilities"], atol=TOLERANCE)
        assert one == case["label"] if "label" in case else set(one) == set(case["labels"])


def test_the_shared_bundles_are_what_is_written_today() -> None:
    """Of every task, and each of the tokenizers of the format; small enough to be looked at."""
    for name, made in bundle_vectors.bundles().items():
        path = VECTORS / f"{name}.stepdown"
        held = bundle.read(path)
        assert held.about == made.about
        assert held.files["model.onnx"] == made.files["model.onnx"]
        assert path.stat().st_size < 4_000


# --- every kind of bundle ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", every_kind.OF_THE_FORMAT)
def test_it_says_what_we_say(name: str, tmp_path: Path) -> None:
    made, ours, texts = every_kind.packed(name), every_kind.classifier(name), every_kind.texts_for(name)
    expected: list[Any] = list(ours.predict(texts))
    for path in (tmp_path / "folder", tmp_path / "file.stepdown"):
        bundle.write(path, made.about, made.files)
        said, numbers = answers(reader.Classifier(path), list(texts))
        if ours.task == "regression":
            np.testing.assert_allclose(said, expected, atol=TOLERANCE * np.std(expected))
            assert np.std(expected) > 0.1
            continue
        probabilities = ours.predict_proba(texts)
        np.testing.assert_allclose(numbers, probabilities, atol=TOLERANCE)
        assert probabilities.std(0).min() > 1e-3, "texts that it tells apart"
        assert list(map(_unordered, said)) == list(map(_unordered, expected))


def _unordered(answer: Any) -> Any:
    return set(answer) if isinstance(answer, list) else answer


def test_it_says_what_the_model_in_the_box_says() -> None:
    path = shipped.find("sentiment")
    review = "It began well. Then it did n't know where to go...<br />A waste of 2 hours! " * 40
    texts = ["It's GREAT!!", "a dull , lifeless film", "Not bad at all.", review, *HARD_TEXTS]
    ours = Classifier.load(path)
    said, numbers = answers(reader.Classifier(path), texts)
    np.testing.assert_allclose(numbers, ours.predict_proba(texts), atol=TOLERANCE)
    assert said == ours.predict(texts)


def test_it_runs_as_a_program() -> None:
    path = VECTORS / "regression.stepdown"
    words = [sys.executable, str(FILE), str(path), "good", "bad", "Good movies!", "Not bad."]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    values = [float(line) for line in done.stdout.splitlines()]
    assert values == pytest.approx(
        Classifier.load(path).predict([("good", "bad"), ("Good movies!", "Not bad.")])
    )


# --- what must be refused ---------------------------------------------------------------------------------------------


def renewed(about: dict[str, Any]) -> bytes:
    """A bundle.json with a digest that fits."""
    text = json.dumps(about | {"digest": "0" * 64}, indent=2).encode()
    return text.replace(b"0" * 64, hashlib.sha256(text).hexdigest().encode(), 1)


def told(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Changes what a folder's bundle.json says, and renews its digest."""

    def do(folder: Path) -> None:
        about = json.loads((folder / "bundle.json").read_bytes())
        change(about)
        (folder / "bundle.json").write_bytes(renewed(about))

    return do


def rewritten(name: str, content: bytes) -> Callable[[Path], None]:
    """Changes a file, and what bundle.json says of it."""

    def do(folder: Path) -> None:
        (folder / name).write_bytes(content)
        told(
            lambda about: about["files"].update(
                {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
            )
        )(folder)

    return do


def linked(folder: Path) -> None:
    (folder / "words.json").rename(folder.parent / "elsewhere")
    (folder / "words.json").symlink_to(folder.parent / "elsewhere")


def flipped(folder: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def longer(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as file:
        file.write(b"\0")


def edited(folder: Path) -> None:
    path = folder / "bundle.json"
    path.write_bytes(path.read_bytes().replace(b"negative", b"NEGATIVE"))


def doubled(folder: Path) -> None:
    path = folder / "bundle.json"
    content = path.read_bytes().replace(b'"version": 1,', b'"version": 1, "version": 1,')
    path.write_bytes(renewed_text(content))


def renewed_text(content: bytes) -> bytes:
    start = content.index(b'"digest": "') + len(b'"digest": "')
    zeros = content[:start] + b"0" * 64 + content[start + 64 :]
    return content[:start] + hashlib.sha256(zeros).hexdigest().encode() + content[start + 64 :]


WORDS = {"kind": "words", "version": 1, "lowercase": True}
BAD: dict[str, Callable[[Path], object]] = {
    "no bundle.json": lambda folder: (folder / "bundle.json").unlink(),
    "no network": lambda folder: (folder / "model.onnx").unlink(),
    "a link": linked,
    "a byte changed": flipped,
    "a byte too many": longer,
    "an edit": edited,
    "a key twice": doubled,
    "another format": told(lambda about: about.update(format="other")),
    "another version": told(lambda about: about.update(version=2)),
    "another task": told(lambda about: about["task"].update(kind="ranking")),
    "three texts": told(lambda about: about["task"].update(texts=3)),
    "one label": told(lambda about: about["task"].update(label_names=["a"])),
    "a label twice": told(lambda about: about["task"].update(label_names=["a", "b", "a"])),
    "an empty label": told(lambda about: about["task"].update(label_names=["a", "b", ""])),
    "other labels": told(lambda about: about["task"].update(label_names=["a", "b"])),
    "no length": told(lambda about: about.update(max_length=0)),
    "a length too large": told(lambda about: about.update(max_length=1 << 21)),
    "no temperature": told(lambda about: about["calibration"].update(temperature=0)),
    "a threshold too many": told(lambda about: about["calibration"].update(thresholds=[0.5] * 4)),
    "long texts of pairs": told(
        lambda about: (
            about["task"].update(texts=2),
            about.update(long_texts={"above": 3, "read": "sentences"}),
        )
    ),
    "unknown long texts": told(lambda about: about.update(long_texts={"above": 3, "read": "backwards"})),
    "long texts too long": told(lambda about: about.update(long_texts={"above": 99, "read": "sentences"})),
    "weights for torch": told(lambda about: about["weights"].update(format="safetensors")),
    "weights elsewhere": told(lambda about: about["weights"].update(file="../model.onnx")),
    "an unknown tokenizer": told(lambda about: about["tokenizer"].update(kind="sentencepiece")),
    "a file outside": told(lambda about: about["files"].update({"../x": about["files"]["README.md"]})),
    "a file too large": told(lambda about: about["files"]["README.md"].update(bytes=65 << 20)),
    "an entry twice": rewritten("words.json", json.dumps(WORDS | {"entries": ["a", "a"]}).encode()),
    "an empty entry": rewritten("words.json", json.dumps(WORDS | {"entries": ["a", ""]}).encode()),
    "an entry too long": rewritten("words.json", json.dumps(WORDS | {"entries": ["a" * 101]}).encode()),
    "another version of words": rewritten(
        "words.json", json.dumps(WORDS | {"entries": [], "version": 3}).encode()
    ),
    "no network in it": rewritten("model.onnx", b"no network"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("form", ["folder", "file"])
def test_both_refuse_what_may_not_be(name: str, form: str, tmp_path: Path) -> None:
    made: Bundle = bundle_vectors.bundles()["words"]
    folder = tmp_path / "b"
    bundle.write(folder, made.about, {**made.files, "README.md": b"# Tiny\n"})
    reader.Classifier(folder)
    BAD[name](folder)
    path = folder
    if form == "file":
        path = tmp_path / "b.stepdown"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                if file.is_symlink():
                    entry = zipfile.ZipInfo(file.name)
                    entry.external_attr = 0o120777 << 16
                    archive.writestr(entry, str(file.readlink()))
                else:
                    archive.write(file, file.name)
    with pytest.raises(BundleError):
        Classifier.load(path)
    with pytest.raises(Exception):  # noqa: B017, PT011  # it is short, and does not name every fault
        reader.Classifier(path).predict("good movie")
