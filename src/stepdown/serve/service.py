"""What the routes share: the model's answers, bounded, for as long as somebody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from stepdown.errors import InputError
from stepdown.runtime import Classifier
from stepdown.runtime.inputs import Text, texts_of
from stepdown.runtime.predict import answers, check_scores
from stepdown.runtime.sinks import Answer
from stepdown.serve import erasure
from stepdown.serve.batcher import Ask, Batcher, Busy, Done
from stepdown.serve.bodies import Bodies, busy
from stepdown.serve.limits import Limits
from stepdown.serve.metrics import Metrics
from stepdown.serve.schemas import ExplainRequest, PredictRequest

# Scores of one answer: with very many labels, all scores of very many texts would fill the memory.
_MOST_SCORES = 1_000_000
_MOST_NAMED = 20

T = TypeVar("T")


@dataclass(frozen=True)
class _Answers:
    """Asks for predictions; those that ask alike are equal, so that they are batched together."""

    classifier: Classifier
    top: int
    abstain_below: float | None = None

    def __call__(self, texts: list[Text]) -> list[Answer]:
        return answers(self.classifier, texts, self.top, self.abstain_below)


@dataclass(frozen=True)
class _Logits:
    """Asks for logits, a row a text."""

    classifier: Classifier

    def __call__(self, texts: list[Text]) -> Sequence[np.ndarray]:
        return list(self.classifier.logits(texts))


class Service:
    """A model that is served.

    Attributes:
        classifier: it answers.
        limits: what is answered at most.
        bodies: reads requests.
        metrics: counts them.
        batcher: has them answered.
    """

    def __init__(self, classifier: Classifier, limits: Limits) -> None:
        self.classifier = classifier
        self.limits = limits
        self.bodies = Bodies(limits.body)
        self.metrics = Metrics(lambda: self.batcher.waiting)
        self.batcher = Batcher(limits.queue, self.metrics.batch)

    async def predict(self, request: Request, asked: PredictRequest) -> Done[Answer]:
        """An answer a text, or pair.

        Raises:
            HTTPException: more is asked than may be, or of another kind (422), or too many texts wait already (503).
            ClientDisconnect: the client went away.
        """
        self._check(asked.texts)
        return await self._ask(request, self._answers(asked, len(asked.texts)), asked.texts)

    async def explain(self, request: Request, asked: ExplainRequest) -> tuple[dict[str, Any], float]:
        """What /explain answers, and the seconds that the model took. Raises as `predict`."""
        self._check([asked.text])
        names = self.classifier.label_names
        named = None if asked.label is None else self._label(asked.label)
        told = await self._ask(request, self._answers(asked, 1), [asked.text])
        (answer,) = told.results
        label = names.index(next(iter(answer.get("scores", names)))) if named is None else named
        found = erasure.pieces(asked.text)
        variants = erasure.Variants(asked.text, found)
        done = await self._ask(request, _Logits(self.classifier), variants)
        values = erasure.importance(
            self.classifier.task, np.stack(done.results), label, self.classifier.temperature
        )
        pieces = [self._piece(asked.text, piece, value) for piece, value in zip(found, values, strict=True)]
        explained = {"prediction": answer, "label": names[label], "pieces": pieces}
        return explained, told.seconds + done.seconds

    async def _ask(self, request: Request, ask: Ask[Text, T], texts: Sequence[Text]) -> Done[T]:
        """Have texts answered for as long as the client waits for it."""
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

    def _answers(self, asked: PredictRequest | ExplainRequest, texts: int) -> _Answers:
        """What to ask for the scores that a request wants of so many texts."""
        below = asked.abstain_below if isinstance(asked, PredictRequest) else None
        try:
            if "top" in asked.model_fields_set:
                check_scores(self.classifier, "top")
            if below is not None:
                self.classifier.check_can_abstain(below, "abstain_below")
        except InputError as error:
            raise HTTPException(422, str(error)) from None
        labels = len(self.classifier.label_names)
        top = min(asked.top or labels, labels)
        if top * texts > _MOST_SCORES:
            raise HTTPException(
                422,
                f"{texts:,} texts with {top:,} scores each are more than {_MOST_SCORES:,} scores. "
                "Lower top, or send fewer texts.",
            )
        return _Answers(self.classifier, top, below)

    def _check(self, texts: Sequence[Text]) -> None:
        """Raises HTTPException (422) where texts are too many or too long."""
        most, is_pair = self.limits, self.classifier.is_pair
        if len(texts) > most.texts:
            kind = "pairs" if is_pair else "texts"
            raise HTTPException(
                422,
                f"A request may have {most.texts:,} {kind}; this one has {len(texts):,}. Send several requests.",
            )
        for index, text in enumerate(texts):
            for place, one in zip(("the first of pair", "the second of pair"), texts_of(text), strict=False):
                if len(one) > most.characters:
                    which = place if is_pair else "text"
                    raise HTTPException(
                        422,
                        f"A text may have {most.characters:,} characters; {which} {index} has {len(one):,}. "
                        "Cut it, or split it.",
                    )

    def _label(self, name: str) -> int:
        names = self.classifier.label_names
        if name in names:
            return names.index(name)
        known = ", ".join(map(repr, names[:_MOST_NAMED]))
        more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
        if self.classifier.task == "regression":
            said = f"The model predicts a number, {known}, and no labels. Leave label out."
        else:
            said = f"There are {known}{more}."
        raise HTTPException(422, f"There is no label {name[:60]!r}. {said}")

    def _piece(self, text: Text, piece: erasure.Piece, importance: float) -> dict[str, Any]:
        """A piece as it is told; of a pair, with the index of the text that it is in."""
        index, start, end = piece
        told = {
            "text": texts_of(text)[index][start:end],
            "start": start,
            "end": end,
            "importance": importance,
        }
        return {"text_index": index, **told} if self.classifier.is_pair else told


async def _gone(request: Request) -> None:
    """Returns when the client has gone away; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
