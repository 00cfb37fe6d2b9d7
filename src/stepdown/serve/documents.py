"""What OpenAPI says of routes that read their bodies themselves."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from stepdown.runtime import Classifier
from stepdown.serve.limits import Limits
from stepdown.serve.schemas import Problem

# More labels than this are told by /model alone.
_MOST_NAMES = 1000
_FAULTS = {
    400: "The body is no JSON in UTF-8.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    421: "The Host is none by which the server may be asked.",
    422: "The JSON is not of the form that is expected, or beyond a limit.",
    503: "Too much waits already; ask again after the seconds in Retry-After.",
}


def documented(
    asked: type[BaseModel],
    answered: type[BaseModel],
    limits: Limits,
    classifier: Classifier,
    example: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Arguments of a route that describe it.

    Args:
        asked: the body; its texts and its label are described with this server's limits and names.
        answered: the answer.
        limits: of the server.
        classifier: which labels there are, if any.
        example: of the answer.
    """
    schema = asked.model_json_schema()
    fields = schema["properties"]
    if "texts" in fields:
        fields["texts"]["maxItems"] = limits.texts
        _bound(fields["texts"]["items"], limits.characters)
    if "text" in fields:
        _bound(fields["text"], limits.characters)
    if "label" in fields and len(classifier.label_names) <= _MOST_NAMES:
        fields["label"]["enum"] = [*classifier.label_names, None]
    if classifier.task == "regression":
        del fields["top"]  # it is refused, with a reason
    responses: dict[int, dict[str, Any]] = {
        status: {"model": Problem, "description": said} for status, said in _FAULTS.items()
    }
    if example is not None:
        responses[200] = {"content": {"application/json": {"example": example}}}
    return {
        "response_model": answered,
        "responses": responses,
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        },
    }


def _bound(text: dict[str, Any], characters: int) -> None:
    """Tell how long a text, or each of a pair, may be."""
    text.get("items", text)["maxLength"] = characters
