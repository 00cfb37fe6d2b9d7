"""What the hub's client raises while something is sent, in the user's words."""

from __future__ import annotations

import json
import re

from stepdown.assets import refusals, repositories
from stepdown.errors import HubError, InputError
from stepdown.sharing.landing import Place

# Status of an answer → what it means, and what to do. {name} is the repository, {said} what the hub said of it.
_ANSWERS = {
    401: (
        "The hub does not know the token that it was given (401{said}).",
        "Set HF_TOKEN to one that is valid, or log in again: hf auth login",
    ),
    403: (
        "The hub does not let the token in use write to {name} (403{said}).",
        "Set HF_TOKEN to one that may write there, or name a repository of your own.",
    ),
    404: (
        "The hub has no {name}, or does not show it to the token in use (404{said}).",
        "Check the name and the token, and push again.",
    ),
    409: ("{name} is being changed by somebody else (409{said}).", "Push again."),
    412: (
        "{name} was changed by somebody else meanwhile (412{said}).",
        "Look at what is there, and push again.",
    ),
    413: (
        "The hub does not take so much (413{said}).",
        "Send a smaller model: a bundle with --weights int8 takes a quarter of the bytes.",
    ),
}
_OF_THE_CARD = "Invalid metadata in README.md."
_LATER = "Push again later; large files that the hub has by then are not sent twice."
_REACH = "Connect to the network, or name another hub in HF_ENDPOINT, and push again."


def told(error: Exception, place: Place, *, is_new: bool) -> InputError | HubError:
    """An error of the client as one of ours: what was found, what became of the repository, and what to do next.

    Args:
        error: whatever the client raised.
        place: where to something was sent.
        is_new: the repository was made for it.
    """
    name = place.repository
    so_far = f"{name} was made, and is still empty." if is_new else f"Nothing in {name} was changed."
    if str(error).startswith(_OF_THE_CARD):
        fault = _flat(str(error).removeprefix(_OF_THE_CARD))
        return InputError(
            f"The hub finds fault with the card's metadata: {fault}. {so_far} Mend it, and push again."
        )
    status, said = _answer(error)
    if status in _ANSWERS:
        found, advice = (text.format(name=name, said=said) for text in _ANSWERS[status])
        return HubError(f"{found} {so_far} {advice}")
    if status is not None and status < 500 and status not in (408, 429):
        return HubError(f"The hub refused what was sent to {name} ({status}{said}). {so_far}")
    reason = _reason(error, status)
    advice = _REACH if reason.endswith("cannot be reached") else _LATER
    return HubError(f"{name} could not be sent: {reason}. {so_far} {advice}")


def _answer(error: Exception) -> tuple[int | None, str]:
    """Status of the answer that an error came of, and what was said with it, as the end of a bracket.

    What moves large files for the client tells of a status in words alone.
    """
    response = repositories.response_of(error)
    if response is None:
        status = re.search(r"HTTP status \w+ error \((\d{3})", str(error))
        return (int(status[1]) if status else None), ""
    said = response.headers.get("X-Error-Message") or getattr(error, "server_message", None) or ""
    return response.status_code, f": {_flat(said)[:200]}".rstrip(".: ")


def _reason(error: Exception, status: int | None) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "what answers does not speak as a hub does: a proxy, or a hub that is busy"
    if status is not None and repositories.response_of(error) is None:
        return f"the hub's storage answered {status}"
    return refusals.reason(error)


def _flat(text: str) -> str:
    return " ".join(text.split()).strip(" -.")
