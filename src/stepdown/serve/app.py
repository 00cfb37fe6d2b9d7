"""The routes: what is asked goes to the batcher, what comes back goes out as `stepdown predict` writes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from stepdown import __version__
from stepdown.runtime import Classifier
from stepdown.serve import schemas
from stepdown.serve.bodies import parsed
from stepdown.serve.documents import documented
from stepdown.serve.forms import forms
from stepdown.serve.front import front
from stepdown.serve.hosts import Hosts
from stepdown.serve.limits import Limits
from stepdown.serve.middleware import GONE, Watch
from stepdown.serve.service import Service

_PATHS = {"/", "/predict", "/explain", "/health", "/model", "/metrics", "/openapi.json"}
_ABOUT = """Says of texts what a model has learnt, with a bundle made by stepdown. Bodies are JSON, sent as
`application/json`; every fault is answered with `{"detail": "…"}`, and a server that is asked too much
answers 503 with `Retry-After`. `Server-Timing` tells the milliseconds that the model took."""


def create_app(
    classifier: Classifier, name: str, limits: Limits | None = None, names: Collection[str] | None = None
) -> FastAPI:
    """The server as an ASGI app.

    Args:
        classifier: answers.
        name: what the page calls the model.
        limits: what is answered at most.
        names: by which it may be asked; None: by any.
    """
    limits = limits or Limits()
    service = Service(classifier, limits)

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
    if names is not None:
        app.add_middleware(Hosts, names=names)
    app.add_middleware(Watch, paths=_PATHS, tell=service.metrics.request)
    app.add_exception_handler(AnyHTTPException, _problem)
    app.add_exception_handler(ClientDisconnect, _nobody)
    _add_questions(app, service)
    _add_facts(app, service, name)
    return app


def _add_questions(app: FastAPI, service: Service) -> None:
    """The routes that the model answers."""
    classifier, limits = service.classifier, service.limits
    form = forms(classifier.task, is_pair=classifier.is_pair)
    predictions = {"predictions": [form.example]}

    @app.post("/predict", **documented(form.predict, form.predictions, limits, classifier, predictions))
    async def predict(request: Request) -> Response:
        """Say of texts what `stepdown predict` says of them."""
        async with service.bodies.read(request) as content:
            done = await service.predict(request, parsed(form.predict, content))
            return _json({"predictions": done.results}, done.seconds)

    @app.post("/explain", **documented(form.explain, form.explanation, limits, classifier))
    async def explain(request: Request) -> Response:
        """Tell how much each word of a text, or of a pair, speaks for a label, or adds to a number.

        Every word is erased in turn (Li, Monroe, Jurafsky 2016, "Understanding Neural Networks through
        Representation Erasure"); its importance is by how much the log-odds of the label, or the number, fall. Of a
        text of more than 128 words, and of very long ones, neighbours are erased together.
        """
        async with service.bodies.read(request) as content:
            explained, seconds = await service.explain(request, parsed(form.explain, content))
            return _json(explained, seconds)


def _add_facts(app: FastAPI, service: Service, name: str) -> None:
    """The routes that need no model."""
    classifier, page = service.classifier, front()
    about = schemas.Model(
        name=name,
        task=classifier.task,
        texts_per_input=2 if classifier.is_pair else 1,
        labels=list(classifier.label_names),
        thresholds=dict(zip(classifier.label_names, classifier.thresholds, strict=True))
        if classifier.task == "multi-label"
        else None,
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
        return HTMLResponse(page.html, headers={"Content-Security-Policy": page.policy})


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
