"""What OpenAPI says of routes that read their bodies themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from stepdown.serve.limits import Limits
from stepdown.serve.schemas import Problem

# More labels than this are told by /model alone.
_MOST_NAMES = 1000
_FAULTS = {
    400: "The body is no JSON in UTF-8.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    422: "The JSON is not of the form that is expected, or beyond a limit.",
    503: "Too much waits already; ask again after the seconds in Retry-After.",
}


def documented(
    asked: type[BaseModel], answered: type[BaseModel], limits: Limits, label_names: Sequence[str]
) -> dict[str, Any]:
    """Arguments of a route that describe it.

    Args:
        asked: the body; its texts and its label are described with this server's limits and names.
        answered: the answer.
        limits: of the server.
        label_names: of the model.
    """
    schema = asked.model_json_schema()
    fields = schema["properties"]
    if "texts" in fields:
        fields["texts"]["maxItems"] = limits.texts
        fields["texts"]["items"]["maxLength"] = limits.characters
    if "text" in fields:
        fields["text"]["maxLength"] = limits.characters
    if "label" in fields and len(label_names) <= _MOST_NAMES:
        fields["label"]["enum"] = [*label_names, None]
    return {
        "response_model": answered,
        "responses": {status: {"model": Problem, "description": said} for status, said in _FAULTS.items()},
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}
        },
    }
