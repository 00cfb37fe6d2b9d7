"""The routes: what is asked goes to the batcher, what comes back goes out as `stepdown predict` writes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from stepdown import __version__
from stepdown.runtime import Classifier
from stepdown.runtime.predict import answers
from stepdown.runtime.sinks import Answer
from stepdown.serve import erasure, schemas
from stepdown.serve.batcher import Ask, Batcher, Busy, Done
from stepdown.serve.bodies import Bodies, busy, parsed
from stepdown.serve.documents import documented
from stepdown.serve.limits import Limits
from stepdown.serve.metrics import Metrics
from stepdown.serve.middleware import GONE, Watch
from stepdown.serve.page import page

# Scores of one answer: with very many labels, all scores of very many texts would fill the memory.
_MOST_SCORES = 1_000_000
_PATHS = {"/", "/predict", "/explain", "/health", "/model", "/metrics", "/openapi.json"}
_ABOUT = """Labels texts with a bundle made by stepdown. Bodies are JSON, sent as `application/json`; every fault is
answered with `{"detail": "…"}`, and a server that is asked too much answers 503 with `Retry-After`. `Server-Timing`
tells the milliseconds that the model took."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Answers:
    """Asks for predictions; equal for equal `top`, so that such requests are batched together."""

    classifier: Classifier
    top: int

    def __call__(self, texts: list[str]) -> list[Answer]:
        return answers(self.classifier, texts, self.top)


@dataclass(frozen=True)
class _Logits:
    """Asks for logits, a row a text."""

    classifier: Classifier

    def __call__(self, texts: list[str]) -> Sequence[np.ndarray]:
        return list(self.classifier.logits(texts))


class _Service:
    """What the routes share."""

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self.classifier = classifier
        self.limits = limits
        self.bodies = Bodies(limits.body)
        self.metrics = Metrics(lambda: self.batcher.waiting)
        self.batcher = Batcher(limits.queue, self.metrics.batch)

    async def ask(self, request: Request, ask: Ask[T], texts: Sequence[str]) -> Done[T]:
        """Have texts answered for as long as the client waits for it.

        Raises:
            HTTPException: too many texts wait already (503).
            ClientDisconnect: the client went away.
        """
        work = asyncio.ensure_future(self.batcher.run(ask, texts))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return await work
        except Busy:
            raise busy() from None
        finally:
            work.cancel()
            gone.cancel()

    def predictions(self, top: int, texts: int) -> _Answers:
        """What to ask for `top` scores (0: all) of so many texts. Raises HTTPException where that is too much."""
        labels = len(self.classifier.label_names)
        top = min(top or labels, labels)
        if top * texts > _MOST_SCORES:
            raise HTTPException(
                422,
                f"{texts:,} texts with {top:,} scores each are more than {_MOST_SCORES:,} scores. "
                "Lower top, or send fewer texts.",
            )
        return _Answers(self.classifier, top)

    def check(self, texts: Sequence[str]) -> None:
        """Raises HTTPException (422) where texts are too many or too long."""
        most = self.limits
        if len(texts) > most.texts:
            raise HTTPException(
                422,
                f"A request may have {most.texts:,} texts; this one has {len(texts):,}. Send several requests.",
            )
        for index, text in enumerate(texts):
            if len(text) > most.characters:
                raise HTTPException(
                    422,
                    f"A text may have {most.characters:,} characters; text {index} has {len(text):,}. "
                    "Cut it, or split it.",
                )


def create_app(classifier: Classifier, name: str, limits: Limits | None = None) -> FastAPI:
    """The server as an ASGI app.

    Args:
        classifier: answers.
        name: what the page calls the model.
        limits: what is answered at most.
    """
    limits = limits or Limits()
    service = _Service(classifier, limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.batcher.close)

    app = FastAPI(
        title=f"stepdown: {name}",
        description=_ABOUT,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.add_middleware(Watch, paths=_PATHS, tell=service.metrics.request)
    app.add_exception_handler(AnyHTTPException, _problem)
    app.add_exception_handler(ClientDisconnect, _nobody)
    _add_questions(app, service)
    _add_facts(app, service, name)
    return app


def _add_questions(app: FastAPI, service: _Service) -> None:
    """The routes that the model answers."""
    names = service.classifier.label_names

    @app.post("/predict", **documented(schemas.PredictRequest, schemas.Predictions, service.limits, names))
    async def predict(request: Request) -> Response:
        """Label texts."""
        async with service.bodies.read(request) as content:
            asked = parsed(schemas.PredictRequest, content)
            service.check(asked.texts)
            ask = service.predictions(asked.top, len(asked.texts))
            done = await service.ask(request, ask, asked.texts)
            return _json({"predictions": done.results}, done.seconds)

    @app.post("/explain", **documented(schemas.ExplainRequest, schemas.Explanation, service.limits, names))
    async def explain(request: Request) -> Response:
        """Label a text and tell how much each of its words speaks for the label.

        Every word is erased in turn (Li, Monroe, Jurafsky 2016, "Understanding Neural Networks through
        Representation Erasure"); its importance is by how much the log-odds of the label fall. Of a text of more
        than 128 words, and of very long ones, neighbours are erased together.
        """
        async with service.bodies.read(request) as content:
            asked = parsed(schemas.ExplainRequest, content)
            service.check([asked.text])
            named = None if asked.label is None else _label(service.classifier, asked.label)
            told = await service.ask(request, service.predictions(asked.top, 1), [asked.text])
            (answer,) = told.results
            label = service.classifier.label_names.index(answer["label"]) if named is None else named
            spans = erasure.pieces(asked.text)
            variants = erasure.Variants(asked.text, spans)
            done = await service.ask(request, _Logits(service.classifier), variants)
            found = erasure.importance(np.stack(done.results), label, service.classifier.temperature)
            pieces = [
                {"text": asked.text[start:end], "start": start, "end": end, "importance": value}
                for (start, end), value in zip(spans, found, strict=True)
            ]
            explained = {
                "prediction": answer,
                "label": service.classifier.label_names[label],
                "pieces": pieces,
            }
            return _json(explained, told.seconds + done.seconds)


def _add_facts(app: FastAPI, service: _Service, name: str) -> None:
    """The routes that need no model."""
    classifier, front = service.classifier, page()
    about = schemas.Model(
        name=name,
        labels=list(classifier.label_names),
        parameters=classifier.about.parameters,
        max_length=classifier.max_length,
        card=classifier.card,
        limits=schemas.LimitsTold(**asdict(service.limits)),
    )

    @app.get("/health")
    async def health() -> schemas.Health:
        """Whether the server answers."""
        return schemas.Health(status="ok", version=__version__)

    @app.get("/model")
    async def model() -> schemas.Model:
        """What is served: its labels, its card, and the limits of a request."""
        return about

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Counters in the format of Prometheus."""
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(front.html, headers={"Content-Security-Policy": front.policy})


async def _gone(request: Request) -> None:
    """Returns when the client has gone away; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _label(classifier: Classifier, name: str) -> int:
    if name not in classifier.label_names:
        known = ", ".join(map(repr, classifier.label_names[:20]))
        more = len(classifier.label_names) - 20
        raise HTTPException(
            422, f"There is no label {name[:60]!r}. There are {known}{f' and {more:,} more' * (more > 0)}."
        )
    return classifier.label_names.index(name)


def _json(content: Any, seconds: float) -> Response:
    return Response(
        json.dumps(content, ensure_ascii=False).encode(),
        media_type="application/json",
        headers={"Server-Timing": f"model;dur={seconds * 1000:.3f}"},
    )


async def _problem(request: Request, error: Exception) -> Response:
    """A fault of the request, in words."""
    assert isinstance(error, AnyHTTPException)
    detail, path = error.detail, request.url.path[:100]
    if error.status_code == 404:
        detail = f"There is nothing at {path}. There are {', '.join(sorted(_PATHS))}."
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        detail = f"{path} is not asked with {request.method[:20]}, but with {allowed}."
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _nobody(request: Request, error: Exception) -> Response:
    """The client went away; this is counted, and nobody reads it."""
    return Response(status_code=GONE)
