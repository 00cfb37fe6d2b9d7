"""A request's body: read within bounds of size, time and memory, and told clearly what is wrong with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from pydantic import ValidationError

from stepdown.runtime.inputs import READS_PAIRS, READS_TEXTS
from stepdown.serve.schemas import Asked

# Bodies of the largest size that are held at once; smaller ones, as many more.
_MOST_HELD = 32
_SECONDS = 30.0
_MOST_FAULTS = 3

M = TypeVar("M", bound=Asked)


class Bodies:
    """Reads bodies, and knows how many bytes of them are held in memory."""

    def __init__(self, most_bytes: int, seconds: float = _SECONDS) -> None:
        """`most_bytes` of one body; `seconds` that a client may take to send it."""
        self.held = 0
        self._most_bytes = most_bytes
        self._seconds = seconds

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request; until the end of the block it counts as held.

        Raises:
            HTTPException: it is no JSON (415), too large (413), too slow (408), or too much is held already (503).
            ClientDisconnect: the client went away.
        """
        _check_type(request)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal():
            length = int(declared[:20])  # of a longer one it is enough to know that it is too large
            if length > self._most_bytes:
                raise self._too_large(f"has {length:,}")
        content = bytearray()
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    async for chunk in request.stream():
                        if len(content) + len(chunk) > self._most_bytes:
                            raise self._too_large("has more")
                        content += self._hold(chunk)
            except TimeoutError:
                raise HTTPException(
                    408, f"The body did not come within {self._seconds:g} seconds. Send it again."
                ) from None
            yield bytes(content)
        finally:
            self.held -= len(content)

    def _hold(self, chunk: bytes) -> bytes:
        if self.held + len(chunk) > _MOST_HELD * self._most_bytes:
            raise busy()
        self.held += len(chunk)
        return chunk

    def _too_large(self, found: str) -> HTTPException:
        return HTTPException(
            413,
            f"A request's body may have {self._most_bytes:,} bytes; this one {found}. "
            "Send its texts in several requests.",
        )


def busy() -> HTTPException:
    """The answer to a request for which there is no room at present."""
    return HTTPException(
        503, "More texts wait already than may. Ask again in a second.", headers={"Retry-After": "1"}
    )


def parsed(model: type[M], content: bytes) -> M:
    """The content of a body as a model.

    Raises:
        HTTPException: it is no JSON in UTF-8 (400), or not of that form (422).
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        status, detail = _told(model, error)
        raise HTTPException(status, detail) from None


def example(model: type[Asked]) -> str:
    """A body that would be right, as JSON."""
    (first, *_) = model.model_json_schema()["examples"]
    return json.dumps(first, ensure_ascii=False)


def _check_type(request: Request) -> None:
    found = request.headers.get("content-type", "")
    kind = found.split(";")[0].strip().lower()
    # Asked for by name, because a page of another origin can send anything else without being asked back.
    if kind != "application/json":
        raise HTTPException(
            415, f"The Content-Type is {_short(found)}; expected application/json. Send that header."
        )


def _told(model: type[Asked], error: ValidationError) -> tuple[int, str]:
    faults = error.errors(include_url=False)
    if faults[0]["type"] == "json_invalid":
        reason = str(faults[0].get("ctx", {}).get("error", faults[0]["msg"]))
        return 400, f"The body is no JSON in UTF-8: {reason}. Send for example {example(model)}"
    said = [_fault(model, fault) for fault in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        said.append(f"and {len(faults) - _MOST_FAULTS:,} more faults.")
    return 422, f"{' '.join(said)} Send for example {example(model)}"


def _fault(model: type[Asked], fault: Any) -> str:
    where = ".".join(map(str, fault["loc"]))
    found = _short(fault["input"])
    match fault["type"]:
        case "missing":
            return f"{where!r} is missing."
        case "extra_forbidden":
            return f"{_short(where)} is unknown; known are {', '.join(model.model_fields)}."
        case _ if where == "abstain_below":
            return f"{where} is {found}; expected a probability, a number from 0 to 1."
        case "list_type" | "too_short" | "too_long" if _is_input(fault["loc"]):
            return f"{where} is {found}; expected a list of two texts. {READS_PAIRS}."
        case "string_type" if _is_input(fault["loc"]) and isinstance(fault["input"], list):
            return f"{where} is {found}; expected a text. {READS_TEXTS}"
        case "string_type":
            return f"{where} is {found}; expected a text."
        case "string_unicode":
            return f"{where} holds half of a surrogate pair, which is no character."
        case "list_type":
            return f"{where} is {found}; expected a list of {model.reads}s."
        case "too_short":
            return f"{where} is empty; expected at least one {model.reads}."
        case "model_type" | "model_attributes_type":
            return f"The body is {found}; expected an object."
        case "int_type" | "int_from_float" | "greater_than_equal":
            return f"{where} is {found}; expected a whole number, 0 or more."
        case _:
            return f"{where}: {fault['msg']}."


def _is_input(where: tuple[str | int, ...]) -> bool:
    """Whether a place in a body is that of a whole text or pair: `text`, or one of `texts`."""
    return where == ("text",) or (len(where) == 2 and where[0] == "texts")


def _short(value: object) -> str:
    try:
        shown = json.dumps(value, ensure_ascii=True, default=str)
    except (ValueError, RecursionError):
        shown = type(value).__name__
    return shown if len(shown) <= 60 else shown[:59] + "…"
