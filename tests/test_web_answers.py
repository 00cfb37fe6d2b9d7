"""A bundle in a browser's tab says what it says in Python: every kind of task, tokenizer and network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import tiny_bundle
import torch
from browser import Browser, find
from websites import computed, offered, website

from stepdown import Classifier, export, tasks
from stepdown.export import CheckTexts, Description, Form, graphs
from stepdown.runtime import About, Calibration, LongTexts, bundle
from stepdown.runtime.inputs import as_given
from stepdown.runtime.predict import answers
from stepdown.serve import erasure
from stepdown.students import huggingface
from stepdown.students.model import TextModel
from stepdown.tokens import BertWordPiece, Tokenizer, Words
from tests import every_kind, test_pair_students
from tests.conftest import corpus, make_teacher
from tests.test_tokens import HARD_TEXTS, PIECES, VECTORS, vectors

PROGRAM = find()
if PROGRAM is None:
    pytest.skip("needs a Chromium on the PATH", allow_module_level=True)

ROOT = Path(__file__).parent.parent
REVIEWS = Path(__file__).parents[2] / "shared" / "data" / "imdb" / "train.parquet"
# Both compute in float32, in another order of operations; measured differences of probabilities are below 1e-6.
TOLERANCE = 1e-5
LABELS = ("praise", "blame", "question", "thanks", "7", "1", "__proto__")
THRESHOLDS = (0.2, 0.9, 0.4, 0.5, 0.3, 0.3, 0.3)
LONG = "A good movie. Not bad! <br /> The &quot;movie&quot; is bad, Mr. Good. " * 9

KINDS: dict[str, About] = {
    "single-label": tiny_bundle.about(),
    "multi-label": tiny_bundle.about(LABELS, task="multi-label", thresholds=THRESHOLDS),
    "multi-label-usual": tiny_bundle.about(LABELS, task="multi-label"),
    "number": tiny_bundle.about(("stars",), task="regression"),
    "pair-as-one": tiny_bundle.about(is_pair=True),
    "number-pair": tiny_bundle.about(("stars",), task="regression", is_pair=True),
    "sentences": tiny_bundle.about(long_texts=LongTexts(6, "sentences")),
    "whole-and-sentences": tiny_bundle.about(long_texts=LongTexts(16, "whole-and-sentences")),
}
TOKENIZERS: dict[str, tuple[Tokenizer, bool]] = {
    "words-pair": (Words(tiny_bundle.WORDS.entries, pairs=True), True),
    "wordpiece": (BertWordPiece(PIECES), False),
    "wordpiece-pair": (BertWordPiece(PIECES), True),
}


def prose() -> list[str]:
    """Lines of this project's own documents."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


TEXTS = [
    *HARD_TEXTS,
    "good movie",
    "not bad, the movie isn't!",
    "don't \x1f GOOD",
    "A. B? c",
    LONG,
    *prose()[:120],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, own_environment: Mapping[str, str]) -> Path:
    """A folder for the web, beside whose bundle others may be put."""
    return website("sentiment", tmp_path_factory.mktemp("web") / "site", own_environment)


@pytest.fixture(scope="module")
def compute(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Any, str], Any]]:
    """Runs a script over data, on a page beside the engine."""
    (place / "blank.html").write_text("<!doctype html><title>blank</title>", encoding="utf-8")
    assert PROGRAM is not None
    with offered(place) as url, Browser(PROGRAM, tmp_path_factory.mktemp("browser")) as browser:
        browser.open(f"{url}/blank.html")
        yield lambda data, script: computed(browser, place, data, script)
        wrong = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        told = browser.told(lambda event: event.get("method") in wrong)
        assert [event for event in told if "favicon.ico" not in str(event)] == []


Answered = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def answered(compute: Callable[[Any, str], Any]) -> Answered:
    """What the bundle in a folder of that name says in the browser; all labels are scored unless told otherwise."""

    def ask(name: str, texts: Sequence[Any], **options: float) -> list[dict[str, Any]]:
        script = """
        const { Classifier } = await import("/engine/classifier.js");
        const classifier = await Classifier.load(new URL(`/${data.name}/`, location));
        return classifier.answers(data.texts, data.options);
        """
        found = compute({"name": name, "texts": list(texts), "options": {"top": 0, **options}}, script)
        assert isinstance(found, list)
        return found

    return ask


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Both say the same, numbers within the tolerance, labels in the same order where these are not alike."""
    assert len(found) == len(expected)
    for own, other in zip(found, expected, strict=True):
        assert own.keys() == other.keys()
        for mark in ("truncated", "abstained"):
            assert own.get(mark) == other.get(mark), own["text"]
        if "value" in other:
            assert own["value"] == pytest.approx(other["value"], rel=TOLERANCE, abs=TOLERANCE)
            continue
        assert own["scores"] == pytest.approx(other["scores"], abs=TOLERANCE), own["text"]
        if "labels" in other:
            assert own["labels"] == other["labels"]
        else:
            assert own["label"] == other["label"]
            assert own["score"] == pytest.approx(other["score"], abs=TOLERANCE)


def inputs_for(classifier: Classifier) -> list[Any]:
    return [list(pair) for pair in zip(TEXTS, reversed(TEXTS), strict=True)] if classifier.is_pair else TEXTS


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_task(name: str, place: Path, answered: Answered, tmp_path: Path) -> None:
    about = KINDS[name]
    bundle.write(place / name, about, tiny_bundle.bundle_of(tmp_path, about).files)
    classifier = Classifier.load(place / name)
    texts = inputs_for(classifier)
    for top in (2, 0) if about.task != "regression" else (5,):
        expected = answers(classifier, texts, top)
        same(answered(name, texts, top=top), expected)
    assert len({str(one) for one in expected}) > 50, "it does not say the same of everything"
    assert any("truncated" in one for one in expected)


@pytest.mark.parametrize("name", ["single-label", "multi-label"])
def test_it_abstains_as_python_does(name: str, place: Path, answered: Answered, tmp_path: Path) -> None:
    about = KINDS[name]
    bundle.write(place / name, about, tiny_bundle.bundle_of(tmp_path, about).files)
    silent = []
    for below in (0.0, 0.5, 1.0):
        expected = answers(Classifier.load(place / name), TEXTS, 0, below)
        same(answered(name, TEXTS, abstainBelow=below), expected)
        silent.append(sum("abstained" in one for one in expected))
    assert silent[0] == 0 < silent[2]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_tokenizer(name: str, place: Path, answered: Answered, tmp_path: Path) -> None:
    tokenizer, is_pair = TOKENIZERS[name]
    tokenizer.save(tmp_path)
    about = replace(tiny_bundle.about(is_pair=is_pair), tokenizer=tokenizer.spec())
    weights = tiny_bundle.weights(tokenizer)
    files = {part: (tmp_path / part).read_bytes() for part in about.tokenizer["files"]}
    files["model.onnx"] = tiny_bundle.model(*weights).SerializeToString()
    bundle.write(place / name, about, files)
    classifier = Classifier.load(place / name)
    texts = inputs_for(classifier)
    same(answered(name, texts), answers(classifier, texts, 0))


@pytest.mark.parametrize("name", test_pair_students.KINDS)
def test_every_kind_of_student(name: str, place: Path, answered: Answered, tmp_path: Path) -> None:
    pack(test_pair_students.student(name), place / name, tmp_path, is_pair=True)
    pairs = [list(pair) for pair in as_given(test_pair_students.texts(60), is_pair=True)]
    expected = answers(Classifier.load(place / name), pairs, 0)
    assert len({str(one["scores"]) for one in expected}) > 30
    same(answered(name, pairs), expected)


@pytest.mark.parametrize("weights", ["int8", "int4"])
@pytest.mark.parametrize("name", ["gru", "bag"])
def test_small_weights(name: str, weights: str, place: Path, answered: Answered) -> None:
    checks = CheckTexts(list(map(tasks.single, every_kind.TEXTS)), np.full(len(every_kind.TEXTS), -1))
    said = Description(lambda size, cost: f"# {name}\n", (), Calibration())
    target = place / f"{name}-{weights}"
    export.export(every_kind.model(name), target, checks, said, Form(weights, accept_loss=True))
    classifier = Classifier.load(target)
    assert classifier.about.weights.type == weights
    texts = [*TEXTS, *every_kind.TEXTS]
    expected = answers(classifier, texts, 0)
    assert len({str(one["scores"]) for one in expected}) > 30
    same(answered(target.name, texts), expected)


@pytest.mark.slow
def test_a_transformer(place: Path, answered: Answered, tmp_path: Path) -> None:
    """Slow for torch's exporter, which traces it."""
    model = huggingface.load(make_teacher(tmp_path / "bert", num_labels=2), max_length=32).model
    for weight in model.network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    pack(model, place / "bert", tmp_path, is_pair=False)
    texts = corpus(60)[0]
    expected = answers(Classifier.load(place / "bert"), texts, 0)
    assert len({str(one["scores"]) for one in expected}) > 30
    same(answered("bert", texts), expected)


def pack(model: TextModel, target: Path, scratch: Path, *, is_pair: bool) -> None:
    graphs.write(model, scratch / "model.onnx")
    model.tokenizer.save(scratch)
    spec = model.tokenizer.spec()
    about = replace(tiny_bundle.about(model.label_names, 32, is_pair=is_pair), tokenizer=spec)
    names = ["model.onnx", *spec["files"]]
    bundle.write(target, about, {name: (scratch / name).read_bytes() for name in names})


# --- the shared vectors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", vectors("bundles.json"), ids=lambda group: group["bundle"])
def test_the_shared_bundles(group: dict[str, Any], place: Path, answered: Answered) -> None:
    packed = bundle.read(VECTORS / group["bundle"])
    bundle.write(place / group["bundle"].removesuffix(".stepdown"), packed.about, packed.files)
    cases = group["cases"]
    found = answered(
        group["bundle"].removesuffix(".stepdown"), [one.get("pair") or one["text"] for one in cases]
    )
    for own, case in zip(found, cases, strict=True):
        assert {key: own.get(key) for key in ("label", "labels") if key in case} == {
            key: case[key] for key in ("label", "labels") if key in case
        }
        if "value" in case:
            assert own["value"] == pytest.approx(case["value"], abs=TOLERANCE)
        else:
            shares = [own["scores"][name] for name in packed.about.label_names]
            assert shares == pytest.approx(case["probabilities"], abs=TOLERANCE)


# --- the model in the box -------------------------------------------------------------------------------------------


def test_the_model_in_the_box_says_the_same_of_prose_and_odd_texts(answered: Answered) -> None:
    texts = [*TEXTS, *prose(), " ".join(prose())[:90_000]]
    same(answered("bundle", texts), answers(Classifier.load("sentiment"), texts, 0))


def test_it_says_the_same_of_film_reviews(answered: Answered) -> None:
    if not REVIEWS.is_file():
        pytest.skip(f"needs film reviews in {REVIEWS}")
    texts = pyarrow.parquet.read_table(REVIEWS, columns=["text"])["text"][:400].to_pylist()
    assert max(map(len, texts)) > 4000
    same(answered("bundle", texts), answers(Classifier.load("sentiment"), texts, 0))


def test_work_can_be_ended_between_two_batches(compute: Callable[[Any, str], Any]) -> None:
    script = """
    const { Classifier } = await import("/engine/classifier.js");
    const classifier = await Classifier.load();
    const control = new AbortController();
    setTimeout(() => control.abort(new Error("enough")), 1);
    try {
      await classifier.answers(data, { signal: control.signal });
    } catch (error) {
      return [error.message, (await classifier.answers(["It's GREAT!!"]))[0].label];
    }
    """
    assert compute(["word " * number for number in range(1, 400)], script) == ["enough", "positive"]


def test_no_temperature_changes_the_label(compute: Callable[[Any, str], Any]) -> None:
    """At a high one, probabilities of logits that differ in their last digits are the same float32."""
    script = """
    const { Classifier } = await import("/engine/classifier.js");
    const classifier = await Classifier.load();
    classifier.about = { ...classifier.about, temperature: 1000 };
    return [classifier.said(data, 0, null), classifier.said([...data].reverse(), 0, null)];
    """
    close = [1.0, float(np.nextafter(np.float32(1), np.float32(2)))]
    found = compute(close, script)
    assert [one["score"] for one in found] == [0.5, 0.5]
    assert [one["label"] for one in found] == ["positive", "negative"]


# --- the words that mattered ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["single-label", "multi-label", "number", "pair-as-one", "whole-and-sentences"]
)
def test_the_words_that_mattered(
    name: str, place: Path, compute: Callable[[Any, str], Any], tmp_path: Path
) -> None:
    about = KINDS[name]
    bundle.write(place / name, about, tiny_bundle.bundle_of(tmp_path, about).files)
    classifier = Classifier.load(place / name)
    text: Any = "It isn't a GOOD movie 😂 不好 the bad !"
    if about.is_pair:
        text = [text, "not bad"]
    if about.long_texts:
        text = LONG
    label = about.label_names[1 % len(about.label_names)]
    script = """
    const { Classifier } = await import("/engine/classifier.js");
    const { Service } = await import("/engine/service.js");
    const service = new Service(await Classifier.load(new URL(`/${data.name}/`, location)));
    const asked = { text: data.text, label: data.label, ...(service.model().task === "regression" ? {} : { top: 1 }) };
    return [service.model(), await service.answer("explain", asked)];
    """
    for wanted in (label, None):
        asked = {"name": name, "text": text, **({"label": wanted} if wanted else {})}
        model, found = compute(asked, script)
        (expected,) = answers(classifier, [text], 1)
        same([found["prediction"]], [expected])
        variants = erasure.Variants(text, erasure.pieces(text))
        logits = classifier.logits(list(variants))
        own = about.label_names.index(wanted) if wanted else int(logits[0].argmax())
        assert found["label"] == about.label_names[own]
        values = erasure.importance(about.task, logits, own, classifier.temperature)
        assert [piece["importance"] for piece in found["pieces"]] == pytest.approx(values, abs=2e-4)
        places = [(piece.get("text_index", 0), piece["start"], piece["end"]) for piece in found["pieces"]]
        assert places == [tuple(piece) for piece in variants.pieces]
        for piece in found["pieces"]:
            whole = text[piece["text_index"]] if about.is_pair else text
            assert piece["text"] == whole[piece["start"] : piece["end"]]
    assert model["labels"] == list(about.label_names)
    assert np.ptp(values) > 0
