"""The API of `stepdown serve` for models that say several labels, or a number, of single texts and of pairs."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import tiny_bundle

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")

from fastapi.testclient import TestClient

from stepdown.runtime import Classifier
from stepdown.runtime.inputs import Text
from stepdown.runtime.predict import answers
from stepdown.serve import Limits, erasure
from stepdown.serve.app import create_app
from stepdown.tasks import TaskKind

LIMITS = Limits(texts=5, characters=100, body=4000)
LABELS = ("praise", "blame", "question", "thanks")
THRESHOLDS = (0.2, 0.9, 0.4, 0.5)
TEXTS = ["good movie!", "not a bad one", "good " * 19, ""]
PAIRS = [["good movie!", "not bad"], ["", "the movie"], ["good " * 19, "bad"]]
KINDS: list[tuple[TaskKind, bool]] = [
    (task, is_pair) for task in ("single-label", "multi-label", "regression") for is_pair in (False, True)
]


@functools.cache
def classifier_of(task: TaskKind, is_pair: bool, folder: Path) -> Classifier:
    names = ("stars",) if task == "regression" else LABELS
    thresholds = THRESHOLDS if task == "multi-label" else None
    about = tiny_bundle.about(names, task=task, is_pair=is_pair, thresholds=thresholds)
    return Classifier(tiny_bundle.bundle_of(folder, about))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve-tasks")


@contextmanager
def asked(classifier: Classifier) -> Iterator[TestClient]:
    with TestClient(create_app(classifier, "tiny", LIMITS)) as client:
        yield client


def given(is_pair: bool) -> list[Any]:
    return PAIRS if is_pair else TEXTS


def refused(client: TestClient, path: str, body: dict[str, Any]) -> str:
    said = client.post(path, json=body)
    assert said.status_code == 422, said.text
    return str(said.json()["detail"])


@pytest.mark.parametrize(("task", "is_pair"), KINDS)
def test_predictions_are_those_of_stepdown_predict(task: TaskKind, is_pair: bool, folder: Path) -> None:
    classifier, texts = classifier_of(task, is_pair, folder), given(is_pair)
    with asked(classifier) as client:
        said = client.post("/predict", json={"texts": texts}).json()["predictions"]
        assert said == answers(classifier, texts, 5)
        assert said[2]["truncated"] is True
        assert said[1]["text"] == texts[1]
        if task != "regression":
            one = client.post("/predict", json={"texts": texts, "top": 1}).json()["predictions"]
            assert one == answers(classifier, texts, 1)


def test_labels_that_apply_are_told_however_few_are_scored(folder: Path) -> None:
    with asked(classifier_of("multi-label", False, folder)) as client:
        (one,) = client.post("/predict", json={"texts": ["good movie!"], "top": 1}).json()["predictions"]
        (every,) = client.post("/predict", json={"texts": ["good movie!"], "top": 0}).json()["predictions"]
    assert (len(one["scores"]), len(every["scores"])) == (1, 4)
    applying = {
        name for name, least in zip(LABELS, THRESHOLDS, strict=True) if every["scores"][name] >= least
    }
    assert set(one["labels"]) == set(every["labels"]) == applying
    assert 1 < len(applying) < 4


@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_a_number_has_no_labels_to_score(path: str, folder: Path) -> None:
    body: dict[str, Any] = {"texts": ["good"]} if path == "/predict" else {"text": "good"}
    with asked(classifier_of("regression", False, folder)) as client:
        for top in (0, 5):
            assert refused(client, path, body | {"top": top}) == (
                "The model predicts a number, 'stars', so there are no labels to score. Leave top out."
            )
        if path == "/explain":
            assert "a number, 'stars', and no labels" in refused(client, path, body | {"label": "praise"})
            assert client.post(path, json=body | {"label": "stars"}).status_code == 200


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_a_request_may_ask_for_sure_answers_alone(task: TaskKind, folder: Path) -> None:
    classifier = classifier_of(task, False, folder)
    with asked(classifier) as client:
        middle = float(np.median(classifier.predict_proba(TEXTS).max(1)))
        for below, count in ((0, 0), (middle, 2), (1, 4)):
            body = {"texts": TEXTS, "abstain_below": below}
            said = client.post("/predict", json=body).json()["predictions"]
            assert said == answers(classifier, TEXTS, 5, below)
            assert sum("abstained" in one for one in said) == count
        said = client.post("/predict", json={"texts": TEXTS, "abstain_below": None}).json()["predictions"]
        assert said == answers(classifier, TEXTS, 5)
        assert '"abstain_below" is unknown' in refused(
            client, "/explain", {"text": "good", "abstain_below": 0.5}
        )


def test_a_number_has_no_probability_to_abstain_by(folder: Path) -> None:
    with asked(classifier_of("regression", False, folder)) as client:
        assert refused(client, "/predict", {"texts": ["good"], "abstain_below": 0.5}) == (
            "The model predicts a number, 'stars', and no probability to abstain by. Leave abstain_below out."
        )
        assert client.post("/predict", json={"texts": ["good"], "abstain_below": None}).status_code == 200


# --- words that mattered ------------------------------------------------------------------------------


def without(text: Text, piece: dict[str, Any]) -> Text:
    def cut(one: str) -> str:
        return one[: piece["start"]] + one[piece["end"] :]

    if isinstance(text, str):
        return cut(text)
    return [cut(one) if index == piece["text_index"] else one for index, one in enumerate(text)]


@pytest.mark.parametrize(("task", "is_pair"), KINDS)
def test_a_word_matters_by_what_erasing_it_does(task: TaskKind, is_pair: bool, folder: Path) -> None:
    classifier = classifier_of(task, is_pair, folder)
    text: Text = ["  good movie!", "not a\tbad good"] if is_pair else "good movie! not a\tbad good"
    with asked(classifier) as client:
        said = client.post("/explain", json={"text": text}).json()
    assert said["prediction"] == answers(classifier, [text], 5)[0]
    assert said["label"] == ("stars" if task == "regression" else next(iter(said["prediction"]["scores"])))
    assert [piece["text"] for piece in said["pieces"]] == ["good", "movie!", "not", "a", "bad", "good"]
    if is_pair:
        assert [piece["text_index"] for piece in said["pieces"]] == [0, 0, 1, 1, 1, 1]
    for piece in said["pieces"]:
        whole = text[piece["text_index"]] if isinstance(text, list) else text
        assert whole[piece["start"] : piece["end"]] == piece["text"]
    texts = [text, *(without(text, piece) for piece in said["pieces"])]
    column = classifier.label_names.index(said["label"])
    if task == "regression":
        believed = np.asarray(classifier.predict(texts), np.float64)
    else:
        share = classifier.predict_proba(texts)[:, column].astype(np.float64)
        believed = np.log(share / (1 - share))
    found = [piece["importance"] for piece in said["pieces"]]
    assert found == pytest.approx((believed[0] - believed[1:]).tolist(), abs=1e-3)
    assert sum(abs(value) > 0.02 for value in found) > 3


def test_a_label_of_several_is_explained_by_itself(folder: Path) -> None:
    """What erasing a word does to one label must not depend on the logits of the others."""
    classifier = classifier_of("multi-label", False, folder)
    with asked(classifier) as client:
        said = client.post("/explain", json={"text": "good bad", "label": "thanks"}).json()
    assert said["label"] == "thanks"
    logits = (
        classifier.logits(["good bad", " bad", "good "])[:, 3].astype(np.float64) / classifier.temperature
    )
    found = [piece["importance"] for piece in said["pieces"]]
    assert found == pytest.approx((logits[0] - logits[1:]).tolist(), abs=1e-4)


def test_the_belief_in_a_label_is_told_in_its_own_unit() -> None:
    logits = np.array([[40.0, 7.0], [30.0, 90.0], [41.0, -8.0]], np.float32)
    assert erasure.importance("multi-label", logits, 0, 2.0) == [5.0, -0.5]
    tiny = np.array([[3e-6], [1.2345678e-6], [3e-6]], np.float32)
    assert erasure.importance("regression", tiny, 0, 2.0) == [1.765e-6, 0.0]


def test_long_pairs_are_cut_into_as_few_pieces_as_long_texts() -> None:
    found = erasure.pieces(["a " * 200, "b " * 100])
    assert [piece.text_index for piece in found] == [0] * 67 + [1] * 34
    assert found[66] == (0, 396, 399)
    assert len(erasure.pieces(["a " * 50_000, "b"])) == erasure.LEAST_PIECES + 1
    assert erasure.pieces([" ", ""]) == []


# --- what is told -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "is_pair"), KINDS)
def test_the_kind_of_model_is_told(task: TaskKind, is_pair: bool, folder: Path) -> None:
    with asked(classifier_of(task, is_pair, folder)) as client:
        said = client.get("/model").json()
    assert (said["task"], said["texts_per_input"]) == (task, 2 if is_pair else 1)
    expected = dict(zip(LABELS, THRESHOLDS, strict=True)) if task == "multi-label" else None
    assert said["thresholds"] == expected


@pytest.mark.parametrize(("task", "is_pair"), KINDS)
def test_the_document_shows_the_forms_of_this_model(task: TaskKind, is_pair: bool, folder: Path) -> None:
    with asked(classifier_of(task, is_pair, folder)) as client:
        document = client.get("/openapi.json").json()
        for path in ("/predict", "/explain"):
            operation = document["paths"][path]["post"]
            asks = operation["requestBody"]["content"]["application/json"]["schema"]
            assert ("top" in asks["properties"]) == (task != "regression")
            answer = operation["responses"]["200"]["content"]["application/json"]
            form = answer["schema"] | {"components": document["components"]}
            for example in asks["examples"]:
                jsonschema.validate(example, asks)
                said = client.post(path, json=example).json()
                jsonschema.validate(said, form)
                # Strictly so: another kind's answer, or another kind's text, would not do.
                told = said["predictions"][0] if path == "/predict" else said["prediction"]
                for key in told.keys() - {"truncated"}:
                    kept = told.pop(key)
                    with pytest.raises(jsonschema.ValidationError):
                        jsonschema.validate(said, form)
                    told[key] = kept
            if path == "/predict":
                jsonschema.validate(answer["example"], form)
        text = document["paths"]["/explain"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        text = text["properties"]["text"]
    if is_pair:
        assert (text["minItems"], text["maxItems"], text["items"]["maxLength"]) == (2, 2, 100)
    else:
        assert (text["type"], text["maxLength"]) == ("string", 100)
    forms = document["components"]["schemas"]
    piece = "PieceOfPair" if is_pair else "Piece"
    plain = {"Prediction", "Predictions", "Explanation", piece, "Health", "Model", "LimitsTold", "Problem"}
    assert set(forms) == plain
    assert all(form["description"] for form in forms.values())


# --- faults -------------------------------------------------------------------------------------------

PAIR = " expected a list of two texts. This model reads pairs of texts."
SINGLE = " expected a text. This model reads single texts, not pairs."


@pytest.mark.parametrize(
    ("is_pair", "body", "says"),
    [
        (True, {"texts": ["good", "bad"]}, 'texts.0 is "good";' + PAIR),
        (True, {"texts": [["a", "b"], ["a"]]}, 'texts.1 is ["a"];' + PAIR),
        (True, {"texts": [["a", "b", "c"]]}, 'texts.0 is ["a", "b", "c"];' + PAIR),
        (True, {"texts": [[]]}, "texts.0 is [];" + PAIR),
        (True, {"texts": [["a", 5]]}, "texts.0.1 is 5; expected a text. Send"),
        (True, {"texts": [["a", ["b"]]]}, 'texts.0.1 is ["b"]; expected a text. Send'),
        (True, {"texts": "good"}, 'texts is "good"; expected a list of pairs.'),
        (True, {"texts": []}, "texts is empty; expected at least one pair."),
        (True, {"text": "good"}, 'text is "good";' + PAIR),
        (True, {"text": ["good"]}, 'text is ["good"];' + PAIR),
        (False, {"texts": ["a", ["a", "b"]]}, 'texts.1 is ["a", "b"];' + SINGLE),
        (False, {"text": ["a", "b"]}, 'text is ["a", "b"];' + SINGLE),
        (False, {"text": "a", "label": ["b"]}, 'label is ["b"]; expected a text. Send'),
    ],
)
def test_pairs_and_single_texts_are_told_apart(
    is_pair: bool, body: dict[str, Any], says: str, folder: Path
) -> None:
    with asked(classifier_of("single-label", is_pair, folder)) as client:
        path = "/explain" if "text" in body else "/predict"
        detail = refused(client, path, body)
        assert says in detail
        example = json.loads(detail.partition("Send for example ")[2])
        assert client.post(path, json=example).status_code == 200


def test_limits_hold_for_pairs_and_for_each_of_the_two(folder: Path) -> None:
    with asked(classifier_of("single-label", True, folder)) as client:
        assert client.post("/predict", json={"texts": [["a" * 100, "b" * 100]] * 5}).status_code == 200
        assert "may have 5 pairs; this one has 6" in refused(client, "/predict", {"texts": [["a", "b"]] * 6})
        long = refused(client, "/predict", {"texts": [["a", "b"], ["a", "b" * 101]]})
        assert "100 characters; the second of pair 1 has 101." in long
        assert "the first of pair 0" in refused(client, "/explain", {"text": ["a" * 101, "b"]})


def test_an_empty_pair_is_answered(folder: Path) -> None:
    with asked(classifier_of("multi-label", True, folder)) as client:
        said = client.post("/explain", json={"text": ["", " \n"]}).json()
    assert said["pieces"] == []
    assert said["prediction"]["text"] == ["", " \n"]


def test_characters_of_both_texts_of_a_pair_count_in_a_batch(folder: Path) -> None:
    """One pair of 100,000 characters fills a batch; what comes with it is answered in the next."""
    classifier = classifier_of("regression", True, folder)
    limits = Limits()
    with TestClient(create_app(classifier, "tiny", limits)) as client:
        texts = [["a" * 50_000, "b" * 50_000], ["good", "bad"]]
        said = client.post("/predict", json={"texts": texts}).json()["predictions"]
        assert said == answers(classifier, texts, 5)
        counted = client.get("/metrics").text
    assert "stepdown_batch_texts_count 2.0" in counted
