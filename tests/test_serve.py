"""The API of `stepdown serve`: the objects of `stepdown predict`, limits, and a clear answer to every fault."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import tiny_bundle

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")

from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from stepdown.runtime import Classifier, bundle
from stepdown.runtime.predict import answers
from stepdown.serve import Limits, bodies, erasure, schemas, service
from stepdown.serve.app import create_app
from stepdown.serve.front import front

LIMITS = Limits(texts=20, characters=1000, body=4000, queue=50)
TEXTS = ["good movie!", "not a bad one", "good " * 99, "", "שלום 😂", "\x00 <b>"]


class Held(Classifier):
    """A classifier that waits until it may answer."""

    def read(self, texts: Any) -> tuple[np.ndarray, np.ndarray]:
        self.begun.set()
        assert self.free.wait(30)
        return super().read(texts)

    begun = threading.Event()
    free = threading.Event()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    bundle.write(folder / "b", tiny_bundle.about(), tiny_bundle.contents(folder))
    return folder / "b"


@pytest.fixture(scope="module")
def classifier(path: Path) -> Classifier:
    return Classifier.load(path)


@pytest.fixture
def client(classifier: Classifier) -> Iterator[TestClient]:
    with TestClient(create_app(classifier, "tiny", LIMITS)) as made:
        yield made


@pytest.fixture
def held(path: Path) -> Iterator[Held]:
    Held.begun.clear()
    Held.free.clear()
    yield Held(bundle.read(path))
    Held.free.set()


def told(client: TestClient, path: str, where: str, field: str = "schema") -> dict[str, Any]:
    """A schema of /openapi.json, with all that it refers to."""
    document: dict[str, Any] = client.get("/openapi.json").json()
    operation = document["paths"][path]["post" if where == "asked" else where]
    content = operation["requestBody"] if where == "asked" else operation["responses"]["200"]
    return content["content"]["application/json"][field] | {"components": document["components"]}


# --- answers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", [None, 0, 1, 2.0, 10**30])
def test_predictions_are_those_of_stepdown_predict(
    client: TestClient, classifier: Classifier, top: float | None
) -> None:
    said = client.post("/predict", json={"texts": TEXTS} | ({} if top is None else {"top": top}))
    assert (said.status_code, said.headers["content-type"]) == (200, "application/json")
    assert said.json() == {"predictions": answers(classifier, TEXTS, int(min(5 if top is None else top, 3)))}
    assert said.json()["predictions"][2]["truncated"] is True
    assert re.fullmatch(r"model;dur=\d+\.\d+", said.headers["server-timing"])
    jsonschema.validate(said.json(), told(client, "/predict", "post"))


def test_an_explanation_tells_what_erasing_each_word_does(client: TestClient, classifier: Classifier) -> None:
    text = "  not a\tgood movie! "
    said = client.post("/explain", json={"text": text, "top": 1}).json()
    jsonschema.validate(said, told(client, "/explain", "post"))
    (prediction,) = answers(classifier, [text], 1)
    assert (said["prediction"], said["label"]) == (prediction, prediction["label"])
    assert [piece["text"] for piece in said["pieces"]] == ["not", "a", "good", "movie!"]
    without = ["   a\tgood movie! ", "  not \tgood movie! ", "  not a\t movie! ", "  not a\tgood  "]
    column = classifier.label_names.index(prediction["label"])
    share = classifier.predict_proba([text, *without])[:, column].astype(np.float64)
    odds = np.log(share / (1 - share))
    found = [piece["importance"] for piece in said["pieces"]]
    assert found == pytest.approx((odds[0] - odds[1:]).tolist(), abs=1e-3)
    assert any(abs(value) > 0.1 for value in found)
    for piece in said["pieces"]:
        assert text[piece["start"] : piece["end"]] == piece["text"]


def test_any_label_can_be_explained_and_any_text(client: TestClient) -> None:
    both = [
        client.post("/explain", json={"text": "good", "label": label}).json() for label in ("positive", None)
    ]
    assert both[0]["label"] == "positive"
    assert both[0]["prediction"] == both[1]["prediction"]
    said = client.post("/explain", json={"text": "good", "label": "postive"})
    assert said.status_code == 422
    assert said.json()["detail"] == (
        "There is no label 'postive'. There are 'negative', 'neutral', 'positive'."
    )
    for blank in ("", " \n"):
        assert client.post("/explain", json={"text": blank}).json()["pieces"] == []


def test_pieces_are_words_characters_or_neighbours_together() -> None:
    def cut(text: str) -> list[str]:
        return [text[start:end] for _, start, end in erasure.pieces(text)]

    assert cut("It's GREAT!!") == ["It's", "GREAT!!"]
    assert cut("好电影 good 映画です") == ["好", "电", "影", "good", "映", "画", "で", "す"]
    many = cut(" ".join(map(str, range(300))))
    assert (len(many), many[0], many[-1]) == (100, "0 1 2", "297 298 299")
    assert len(cut("a " * 50_000)) == erasure.LEAST_PIECES


def test_importance_keeps_its_digits_where_the_model_is_sure() -> None:
    logits = np.array([[40.0, 0.0], [30.0, 0.0], [41.0, 0.0]], np.float32)
    assert erasure.importance("single-label", logits, 0, 2.0) == [5.0, -0.5]
    assert erasure.importance("single-label", logits, 1, 1.0) == [-10.0, 1.0]
    three = np.log(np.array([[0.2, 0.3, 0.5]]))
    assert erasure.belief("single-label", three, 2, 1.0) == pytest.approx([0.0], abs=1e-12)


def test_the_model_its_card_and_its_limits_are_told(client: TestClient, classifier: Classifier) -> None:
    said = client.get("/model").json()
    assert said == {
        "name": "tiny",
        "task": "single-label",
        "texts_per_input": 1,
        "thresholds": None,
        "labels": ["negative", "neutral", "positive"],
        "parameters": 76,
        "max_length": 16,
        "card": "# Tiny\n",
        "limits": dataclasses.asdict(LIMITS),
    }
    assert client.get("/health").json()["status"] == "ok"


# --- faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "no JSON in UTF-8: EOF"),
        (b"nonsense", 400, "no JSON in UTF-8"),
        (b'{"texts": ["\xff"]}', 400, "no JSON in UTF-8: invalid unicode"),
        (b'{"texts": ["\\ud800"]}', 400, "no JSON"),
        (b"[" * 3000, 400, "recursion"),
        (b"null", 422, "The body is null; expected an object."),
        (b'["good"]', 422, 'The body is ["good"]; expected an object.'),
        (b"{}", 422, "'texts' is missing."),
        (
            b'{"text": ["a"]}',
            422,
            "'texts' is missing. \"text\" is unknown; known are texts, top, abstain_below.",
        ),
        (b'{"texts": []}', 422, "texts is empty; expected at least one text."),
        (b'{"texts": "good"}', 422, 'texts is "good"; expected a list of texts.'),
        (b'{"texts": null}', 422, "texts is null; expected a list of texts."),
        (b'{"texts": ["a", 5, null]}', 422, "texts.1 is 5; expected a text."),
        (
            b'{"texts": ["a"], "abstain_below": 1.5}',
            422,
            "abstain_below is 1.5; expected a probability, a number",
        ),
        (b'{"texts": ["a"], "abstain_below": NaN}', 422, "abstain_below is NaN; expected a probability"),
        (b'{"texts": ["a"], "abstain_below": "0.5"}', 422, 'abstain_below is "0.5"; expected a probability'),
        (b'{"texts": ["a"], "top": -1}', 422, "top is -1; expected a whole number, 0 or more."),
        (b'{"texts": ["a"], "top": 1.5}', 422, "top is 1.5; expected a whole number"),
        (b'{"texts": ["a"], "top": true}', 422, "top is true; expected a whole number"),
        (b'{"texts": ["a"], "top": NaN}', 422, "top is NaN; expected a whole number"),
        (b'{"texts": ["a"], "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}', 422, "and 2 more faults."),
    ],
)
def test_what_is_wrong_with_a_body_is_told(client: TestClient, body: bytes, status: int, says: str) -> None:
    said = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert said.status_code == status, said.text
    assert list(said.json()) == ["detail"]
    assert says in said.json()["detail"]
    assert bodies.example(schemas.PredictTexts) in said.json()["detail"]


@pytest.mark.parametrize(
    ("texts", "status", "says"),
    [
        (["a"] * 21, 422, "A request may have 20 texts; this one has 21. Send several requests."),
        (["a", "b" * 1001], 422, "A text may have 1,000 characters; text 1 has 1,001. Cut it, or split it."),
        (["a" * 4000], 413, "A request's body may have 4,000 bytes; this one has 4,01"),
    ],
)
def test_what_is_beyond_a_limit_is_told(client: TestClient, texts: list[str], status: int, says: str) -> None:
    said = client.post("/predict", json={"texts": texts})
    assert said.status_code == status
    assert says in said.json()["detail"]


def test_limits_are_met_exactly(client: TestClient) -> None:
    assert client.post("/predict", json={"texts": ["a"] * 20}).status_code == 200
    assert client.post("/predict", json={"texts": ["b" * 1000]}).status_code == 200
    body = json.dumps({"texts": ["a"]}).encode()
    padded = body + b" " * (LIMITS.body - len(body))
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post("/predict", content=padded, headers=headers).status_code == 200
    assert client.post("/predict", content=padded + b" ", headers=headers).status_code == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken_for_json(client: TestClient, kind: str | None) -> None:
    """Whatever else a page of another origin may send without being asked back, must not be read."""
    headers = {"Content-Type": kind} if kind else {}
    said = client.post("/predict", content=b'{"texts": ["a"]}', headers=headers)
    assert said.status_code == 415
    assert "expected application/json" in said.json()["detail"]
    assert "access-control-allow-origin" not in client.options("/predict").headers


@pytest.mark.parametrize(
    ("method", "where", "status", "says"),
    [
        ("GET", "/nothing", 404, "There is nothing at /nothing. There are /, /explain"),
        ("GET", "/predict/", 404, "There is nothing at /predict/."),
        ("GET", "/docs", 404, "nothing at /docs"),
        ("GET", "/predict", 405, "/predict is not asked with GET, but with POST."),
        ("DELETE", "/health", 405, "with GET."),
    ],
)
def test_what_is_not_there_is_told(
    client: TestClient, method: str, where: str, status: int, says: str
) -> None:
    said = client.request(method, where)
    assert said.status_code == status
    assert says in said.json()["detail"]


def test_answers_are_bounded_in_scores(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_MOST_SCORES", 6)
    assert client.post("/predict", json={"texts": ["a"] * 2, "top": 0}).status_code == 200
    assert client.post("/predict", json={"texts": ["a"] * 3, "top": 2}).status_code == 200
    said = client.post("/predict", json={"texts": ["a"] * 3, "top": 0})
    assert said.status_code == 422
    assert said.json()["detail"].startswith("3 texts with 3 scores each are more than 6 scores. Lower top")


def test_a_fault_of_ours_is_json_too_and_counted(path: Path) -> None:
    class Failing(Classifier):
        def read(self, texts: Any) -> tuple[np.ndarray, np.ndarray]:
            raise ValueError("no luck")

    failing = create_app(Failing(bundle.read(path)), "tiny")
    with TestClient(failing, raise_server_exceptions=False) as client:
        said = client.post("/predict", json={"texts": ["a"]})
        assert (said.status_code, list(said.json())) == (500, ["detail"])
        assert said.headers["x-content-type-options"] == "nosniff"
        assert 'requests_total{path="/predict",status="500"} 1.0' in client.get("/metrics").text


# --- overload ---------------------------------------------------------------------------------------


def test_too_much_is_answered_with_503_and_what_waits_is_answered(held: Held) -> None:
    outcomes: list[int] = []

    def ask(client: TestClient, count: int) -> None:
        outcomes.append(client.post("/predict", json={"texts": ["good"] * count}).status_code)

    with TestClient(create_app(held, "tiny", LIMITS)) as client:
        threads = [threading.Thread(target=ask, args=(client, 1))]
        threads[0].start()
        assert held.begun.wait(30)
        for count in (20, 20, 10):  # 50 may wait
            threads.append(threading.Thread(target=ask, args=(client, count)))
            threads[-1].start()
        while "stepdown_waiting_texts 50.0" not in client.get("/metrics").text:
            pass
        refused = client.post("/predict", json={"texts": ["good"]})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "Ask again in a second" in refused.json()["detail"]
        assert client.get("/health").status_code == 200
        held.free.set()
        for thread in threads:
            thread.join()
        assert client.post("/predict", json={"texts": ["good"]}).status_code == 200
    assert outcomes == [200] * 4


def asked(made: FastAPI, messages: asyncio.Queue[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """A request to an app whose messages are sent by hand, and where its answer's messages go."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
    }
    return made(scope, messages.get, send), sent  # type: ignore[arg-type]


def test_a_client_that_goes_away_is_not_answered_any_more(held: Held) -> None:
    made = create_app(held, "tiny", LIMITS)
    body = json.dumps({"texts": ["good"] * 5}).encode()

    async def one(*messages: dict[str, Any]) -> tuple[asyncio.Task[Any], asyncio.Queue[Any], list[Any]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for message in messages:
            queue.put_nowait(message)
        call, sent = asked(made, queue)
        return asyncio.get_running_loop().create_task(call), queue, sent

    async def main() -> None:
        whole = {"type": "http.request", "body": body, "more_body": False}
        first, _, answered = await one(whole)
        assert await asyncio.to_thread(held.begun.wait, 30)
        second, queue, unread = await one(whole)
        half, _, nothing = await one(whole | {"more_body": True}, {"type": "http.disconnect"})
        await half
        await asyncio.sleep(0.05)
        queue.put_nowait({"type": "http.disconnect"})
        await second
        assert [messages[0]["status"] for messages in (unread, nothing)] == [499, 499]
        held.free.set()
        await first
        assert answered[0]["status"] == 200

    asyncio.run(main())
    with TestClient(made) as client:
        counted = client.get("/metrics").text
    assert "stepdown_texts_total 5.0" in counted, "of 15 asked for"
    assert 'status="499"} 2.0' in counted


def test_what_is_cut_off_at_the_end_is_told(held: Held) -> None:
    async def main() -> list[Any]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        queue.put_nowait({"type": "http.request", "body": b'{"texts": ["good"]}', "more_body": False})
        call, sent = asked(create_app(held, "tiny"), queue)
        task = asyncio.get_running_loop().create_task(call)
        assert await asyncio.to_thread(held.begun.wait, 30)
        task.cancel()
        await task
        return sent

    start, body = asyncio.run(main())
    assert (start["status"], json.loads(body["body"])["detail"][:17]) == (503, "The server ends. ")


def body_of(*chunks: bytes) -> Request:
    """A request whose body comes in these pieces, and then no further."""
    left = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]

    async def receive() -> Any:
        if left:
            return left.pop(0)
        return await asyncio.Event().wait()

    return Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)


def test_bodies_are_bounded_in_time_and_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_MOST_HELD", 2)
    reader = bodies.Bodies(10, seconds=0.2)

    async def status(request: Request) -> int:
        with pytest.raises(HTTPException) as error:
            async with reader.read(request):
                pass
        return error.value.status_code

    async def main() -> list[int]:
        slow = [asyncio.ensure_future(status(body_of(b"x" * 10))) for _ in range(2)]
        await asyncio.sleep(0)
        assert reader.held == 20
        return [await status(body_of(b"x")), *await asyncio.gather(*slow)]

    assert asyncio.run(main()) == [503, 408, 408]
    assert reader.held == 0


# --- the page, the headers, the documents -------------------------------------------------------------


def test_the_page_may_run_its_own_script_and_nothing_else(client: TestClient) -> None:
    said = client.get("/")
    assert said.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in said.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in said.headers["content-security-policy"]
    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", said.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert set(re.findall(r"https?://[^'\"\s<)]+", said.text)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=", front().html)


def test_every_answer_has_the_headers_that_keep_browsers_safe(client: TestClient) -> None:
    for path in ("/", "/health", "/nothing", "/metrics", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_head_is_answered_where_get_is(client: TestClient) -> None:
    assert client.head("/").status_code == client.head("/health").status_code == 200
    assert client.head("/nothing").status_code == 404


def test_metrics_count_requests_texts_and_batches(client: TestClient) -> None:
    client.post("/predict", json={"texts": ["good"] * 3})
    client.post("/predict", json={"texts": []})
    client.get("/some/path")
    client.get("/another")
    said = client.get("/metrics")
    assert said.headers["content-type"].startswith("text/plain")
    for line in (
        'stepdown_requests_total{path="/predict",status="200"} 1.0',
        'stepdown_requests_total{path="/predict",status="422"} 1.0',
        'stepdown_requests_total{path="other",status="404"} 2.0',
        'stepdown_request_seconds_count{path="/predict"} 2.0',
        "stepdown_texts_total 3.0",
        'stepdown_batch_texts_bucket{le="2.0"} 0.0',
        'stepdown_batch_texts_bucket{le="4.0"} 1.0',
        "stepdown_waiting_texts 0.0",
    ):
        assert line in said.text.splitlines()


def test_openapi_tells_forms_limits_examples_and_faults(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/predict", "/explain", "/health", "/model", "/metrics"}
    schema = told(client, "/predict", "asked")
    assert schema["properties"]["texts"]["maxItems"] == 20
    assert schema["properties"]["top"]["minimum"] == 0
    assert schema["properties"]["texts"]["items"]["maxLength"] == 1000
    assert told(client, "/explain", "asked")["properties"]["label"]["enum"] == [*tiny_bundle.LABELS, None]
    for path in ("/predict", "/explain"):
        schema = told(client, path, "asked")
        for example in schema["examples"]:
            jsonschema.validate(example, schema)
            assert client.post(path, json=example).status_code == 200
        assert set(document["paths"][path]["post"]["responses"]) >= {"200", "400", "413", "415", "422", "503"}
    problem = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    jsonschema.validate(client.post("/predict", json={}).json(), problem)


def test_a_body_of_a_client_that_went_away_is_no_fault() -> None:
    async def main() -> None:
        async def receive() -> Any:
            return {"type": "http.disconnect"}

        request = Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
        async with bodies.Bodies(10).read(request):
            pass

    with pytest.raises(ClientDisconnect):
        asyncio.run(main())
