"""The forms of what a server is asked and answers: of one kind of task, over single texts or over pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, create_model

from stepdown.serve import schemas
from stepdown.serve.schemas import LabelPrediction, LabelsPrediction, Pair, ValuePrediction
from stepdown.tasks import TaskKind

_ANSWERS: dict[tuple[TaskKind, bool], type[BaseModel]] = {
    ("single-label", False): LabelPrediction[str],
    ("single-label", True): LabelPrediction[Pair],
    ("multi-label", False): LabelsPrediction[str],
    ("multi-label", True): LabelsPrediction[Pair],
    ("regression", False): ValuePrediction[str],
    ("regression", True): ValuePrediction[Pair],
}
_SAID: dict[TaskKind, dict[str, Any]] = {
    "single-label": {"label": "yes", "score": 0.9, "scores": {"yes": 0.9, "no": 0.1}},
    "multi-label": {"labels": ["praise"], "scores": {"praise": 0.9, "question": 0.1}},
    "regression": {"value": 3.25},
}


@dataclass(frozen=True)
class Forms:
    """Of requests and answers.

    Attributes:
        predict: what /predict is asked.
        predictions: what it answers.
        explain: what /explain is asked.
        explanation: what it answers.
        example: one object of `predictions`, as it may look.
    """

    predict: type[schemas.PredictRequest]
    predictions: type[BaseModel]
    explain: type[schemas.ExplainRequest]
    explanation: type[BaseModel]
    example: dict[str, Any]


def forms(task: TaskKind, *, is_pair: bool) -> Forms:
    """Those of a model: what a program that talks to its server needs to know, and nothing of other models."""
    answer = _named("Prediction", _ANSWERS[task, is_pair])
    piece = schemas.PieceOfPair if is_pair else schemas.Piece
    explain = schemas.ExplainPair if is_pair else schemas.ExplainText
    (shown, *_) = explain.model_json_schema()["examples"]
    return Forms(
        schemas.PredictPairs if is_pair else schemas.PredictTexts,
        _named("Predictions", schemas.Predictions[answer]),  # type: ignore[valid-type]  # chosen when it runs
        explain,
        _named("Explanation", schemas.Explanation[answer, piece]),  # type: ignore[valid-type]  # chosen when it runs
        {**shown, **_SAID[task]},
    )


def _named(name: str, form: type[BaseModel]) -> type[BaseModel]:
    """A form under a plain name, by which generated clients call it, whatever it is made of."""
    described = form.__pydantic_generic_metadata__["origin"] or form
    return create_model(name, __base__=form, __doc__=described.__doc__)
