"""What is asked and answered, typed, as /openapi.json tells it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

_ASKED = ConfigDict(extra="forbid", strict=True)


def _whole(value: object) -> object:
    """In JSON, 3.0 is the whole number 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


TopField = Annotated[
    int,
    Field(ge=0, description="How many labels to score, best first; 0 for all."),
    BeforeValidator(_whole),
]


class PredictRequest(BaseModel):
    """Texts to label."""

    model_config = ConfigDict(
        **_ASKED, json_schema_extra={"examples": [{"texts": ["It's GREAT!!", "It never finds its feet."]}]}
    )

    # The first wrong text is enough: a list of a million of them is not to fill the memory with complaints.
    texts: Annotated[list[str], Field(min_length=1), FailFast()]
    top: TopField = 5


class ExplainRequest(BaseModel):
    """A text, and which label's reasons are asked for."""

    model_config = ConfigDict(**_ASKED, json_schema_extra={"examples": [{"text": "It's GREAT!!"}]})

    text: str
    label: Annotated[str | None, Field(description="The label to explain; by default the one predicted.")] = (
        None
    )
    top: TopField = 5


class Prediction(BaseModel):
    """What `stepdown predict` says of a text."""

    text: str
    label: str
    score: Annotated[float, Field(description="The label's probability.")]
    scores: Annotated[dict[str, float], Field(description="Label to probability, best first.")]
    truncated: Annotated[
        Literal[True] | None, Field(description="Present where a part of the text was not read.")
    ] = None


class Predictions(BaseModel):
    """One object a text, in the order of the texts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "predictions": [
                        {
                            "text": "It's GREAT!!",
                            "label": "positive",
                            "score": 0.996939,
                            "scores": {"positive": 0.996939, "negative": 0.003061},
                        }
                    ]
                }
            ]
        }
    )

    predictions: list[Prediction]


class Piece(BaseModel):
    """A word of a text; of a text of very many words, some neighbours together."""

    text: str
    start: Annotated[int, Field(description="Where it starts in the text, in characters (code points).")]
    end: int
    importance: Annotated[
        float,
        Field(
            description="By how much the label's log-odds, log p/(1 - p), fall when this piece is erased from "
            "the text; below 0 where it speaks against the label."
        ),
    ]


class Explanation(BaseModel):
    """A text's prediction, and how much each of its words speaks for a label."""

    prediction: Prediction
    label: Annotated[str, Field(description="The label that is explained.")]
    pieces: list[Piece]


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"]
    version: Annotated[str, Field(description="Of stepdown.")]


class LimitsTold(BaseModel):
    """What is answered at most."""

    texts: Annotated[int, Field(description="Texts of one request.")]
    characters: Annotated[int, Field(description="Characters of one text.")]
    body: Annotated[int, Field(description="Bytes of one request's body.")]
    queue: Annotated[int, Field(description="Texts that may wait, of all requests together.")]


class Model(BaseModel):
    """What is served."""

    name: str
    labels: list[str]
    parameters: int | None
    max_length: Annotated[int, Field(description="Ids that are read of a text.")]
    card: Annotated[str, Field(description="The bundle's README.md, Markdown.")]
    limits: LimitsTold


class Problem(BaseModel):
    """Why there is no other answer: what was found, what was expected, what to do."""

    detail: str
