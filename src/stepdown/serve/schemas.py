"""What is asked and answered, typed, as /openapi.json tells it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from stepdown.runtime.inputs import Text
from stepdown.tasks import TaskKind

T = TypeVar("T")
A = TypeVar("A")
P = TypeVar("P")

_ASKED = ConfigDict(extra="forbid", strict=True)


def _shown(example: dict[str, Any]) -> ConfigDict:
    """How a request is read, and one that would be right."""
    return ConfigDict(**_ASKED, json_schema_extra={"examples": [example]})


def _whole(value: object) -> object:
    """In JSON, 3.0 is the whole number 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


TopField = Annotated[
    int,
    Field(ge=0, description="How many labels to score, best first; 0 for all."),
    BeforeValidator(_whole),
]


class Asked(BaseModel):
    """A request.

    Attributes:
        reads: what the model reads, in a word.
    """

    model_config = _ASKED

    reads: ClassVar[str] = "text"


class PredictRequest(Asked):
    """What is to be predicted."""

    texts: Sequence[Text]
    top: TopField = 5
    abstain_below: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Give no label where the highest probability is less; by default every text gets its label.",
        ),
    ] = None


class ExplainRequest(Asked):
    """A text or pair, and which label's reasons are asked for."""

    text: Text
    label: Annotated[
        str | None, Field(description="The label to explain; by default the most probable one.")
    ] = None
    top: TopField = 5


# The first wrong text is enough: a list of a million of them is not to fill the memory with complaints.
Pair = Annotated[list[str], Field(min_length=2, max_length=2, description="A pair of texts."), FailFast()]


class PredictTexts(PredictRequest):
    """Texts for a model that reads single texts."""

    model_config = _shown({"texts": ["It's GREAT!!", "It never finds its feet."]})

    texts: Annotated[list[str], Field(min_length=1), FailFast()]


class PredictPairs(PredictRequest):
    """Pairs for a model that reads pairs of texts."""

    model_config = _shown({"texts": [["A man plays a guitar.", "Someone makes music."]]})

    reads: ClassVar[str] = "pair"

    texts: Annotated[list[Pair], Field(min_length=1), FailFast()]


class ExplainText(ExplainRequest):
    """A text, and which label's reasons are asked for."""

    model_config = _shown({"text": "It's GREAT!!"})

    text: str


class ExplainPair(ExplainRequest):
    """A pair of texts, and which label's reasons are asked for."""

    model_config = _shown({"text": ["A man plays a guitar.", "Someone makes music."]})

    reads: ClassVar[str] = "pair"

    text: Pair


class Answer(BaseModel, Generic[T]):
    """What `stepdown predict` says of a text, or of a pair of texts."""

    text: T
    truncated: Annotated[
        Literal[True] | None, Field(description="Present where a part of the text was not read.")
    ] = None


Scores = Annotated[dict[str, float], Field(description="Label to probability, best first.")]


Abstained = Annotated[
    Literal[True] | None,
    Field(description="Present where no label has the probability that `abstain_below` asks for."),
]


class LabelPrediction(Answer[T], Generic[T]):
    """The one label of a text."""

    label: Annotated[str | None, Field(description="Null where it abstained.")]
    score: Annotated[float, Field(description="The most probable label's probability.")]
    scores: Scores
    abstained: Abstained = None


class LabelsPrediction(Answer[T], Generic[T]):
    """The labels of a text; there may be none, or several."""

    labels: Annotated[list[str], Field(description="Those that apply, most probable first.")]
    scores: Scores
    abstained: Abstained = None


class ValuePrediction(Answer[T], Generic[T]):
    """The number that is predicted of a text."""

    value: Annotated[float, Field(description="In the unit of the data that the model learnt from.")]


class Predictions(BaseModel, Generic[A]):
    """One object a text, or a pair, in their order."""

    predictions: list[A]


class Piece(BaseModel):
    """A word of a text; of a text of very many words, some neighbours together."""

    text: str
    start: Annotated[int, Field(description="Where it starts in the text, in characters (code points).")]
    end: int
    importance: Annotated[
        float,
        Field(
            description="By how much the label's log-odds, log p/(1 - p), or the predicted number, fall when this "
            "piece is erased from the text; below 0 where it speaks against the label."
        ),
    ]


class PieceOfPair(Piece):
    """A word of one of the two texts of a pair."""

    text_index: Annotated[int, Field(ge=0, le=1, description="Of the text it is in: 0 or 1.")]


class Explanation(BaseModel, Generic[A, P]):
    """A prediction, and how much each of the words speaks for a label."""

    prediction: A
    label: Annotated[
        str, Field(description="The label that is explained; of a number, the name of what it is.")
    ]
    pieces: list[P]


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
    task: TaskKind
    texts_per_input: Annotated[Literal[1, 2], Field(description="2: it reads pairs of texts.")]
    labels: Annotated[list[str], Field(description="Of a regression, the one name of what it predicts.")]
    thresholds: Annotated[
        dict[str, float] | None,
        Field(
            description="Label to the probability from which on it applies; null where one label or a number is said."
        ),
    ]
    parameters: int | None
    max_length: Annotated[int, Field(description="Ids that are read of a text.")]
    card: Annotated[str, Field(description="The bundle's README.md, Markdown, without its metadata.")]
    limits: LimitsTold


class Problem(BaseModel):
    """Why there is no other answer: what was found, what was expected, what to do."""

    detail: str
