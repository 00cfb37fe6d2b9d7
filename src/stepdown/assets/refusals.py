"""What the hub's client raises, in the user's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepdown.assets import repositories, versions
from stepdown.assets.versions import Kind
from stepdown.errors import DataError, HubError, InputError, ModelError


def told(error: Exception, kind: Kind, hub_id: str, revision: str | None = None) -> InputError | HubError:
    """An error of the client as one of ours: what was found, and what to do next.

    Args:
        error: whatever the client raised.
        kind, hub_id: of the repository.
        revision: that was asked for, if one was.
    """
    hub = repositories.client()
    errors = hub.errors
    wrong = ModelError if kind == "model" else DataError
    refused = _refused(error, hub_id, hub)
    if refused is not None:
        return refused
    if _is(error, errors.RepositoryNotFoundError):
        return wrong(_absent(kind, hub_id, hub))
    if _is(error, errors.RevisionNotFoundError):
        known = versions.current().known.get(f"{kind} {hub_id}")
        if revision is None and known is not None:
            return wrong(
                f"{hub_id}: this run began with its commit {known[:12]}, which is neither in the hub's cache nor on "
                "the hub any more. Start in another folder, with --out."
            )
        return wrong(
            f"{hub_id} has no revision {revision!r} on the hub. Name a branch, a tag or a commit of it."
        )
    if _is(error, errors.HFValidationError):
        return wrong(f"{hub_id!r} is not a valid hub id: `owner/name` was expected.")
    return HubError(_undelivered(error, kind, hub_id, hub))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, what caused it, what caused that, and so on."""
    yield error
    while error.__cause__ is not None:
        error = error.__cause__
        yield error


def _is(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error, or what caused it, is of a kind."""
    return any(isinstance(one, kind) for one in _causes(error))


def _refused(error: Exception, hub_id: str, hub: Any) -> HubError | None:
    """The hub does not let us in."""
    token = hub.get_token()
    if _is(error, hub.errors.GatedRepoError):
        account = "the account of your token" if token else "your account, and set HF_TOKEN to a token of it"
        return HubError(
            f"{hub_id} is gated: its owner asks to accept its terms first. Accept them on its page at the hub with "
            f"{account}, and start again."
        )
    response = repositories.response_of(error)
    status = getattr(response, "status_code", None)
    if status not in (401, 403) or _is(error, hub.errors.RepositoryNotFoundError):
        return None
    said = response.headers.get("X-Error-Message", "")
    if token and "credentials" in said.lower():
        return HubError(
            f"the hub does not know the token that it was given for {hub_id} ({status}). Set HF_TOKEN to one that is "
            "valid, or unset it if what you name is public."
        )
    if token:
        return HubError(
            f"the hub refused access to {hub_id} ({status}): the token in use may not read it. Set HF_TOKEN to one "
            "that may."
        )
    return HubError(
        f"the hub refused access to {hub_id} ({status}). Set HF_TOKEN to a token that may read it."
    )


def _absent(kind: Kind, hub_id: str, hub: Any) -> str:
    what = "model" if kind == "model" else "data set"
    token = (
        "the token in use may not read it" if hub.get_token() else "set HF_TOKEN to a token that may read it"
    )
    place = "a folder" if kind == "model" else "a file or folder"
    return (
        f"{hub_id} is neither {place} here nor a {what} on the Hugging Face hub. Check the spelling; if it is private, "
        f"{token}."
    )


ADVICE = "It is fetched once and then kept. Connect to the network, or name a mirror in HF_ENDPOINT, and try again."


def _undelivered(error: Exception, kind: Kind, hub_id: str, hub: Any) -> str:
    place = "a folder" if kind == "model" else "a file or folder"
    if hub.constants.HF_HUB_OFFLINE:
        return (
            f"{hub_id} is not {place} here and not in the hub's cache ({hub.constants.HF_HOME}), and HF_HUB_OFFLINE "
            "keeps it from being fetched. Unset it once while there is a network, or set HF_HOME to where it is kept."
        )
    said = f"{hub_id} is not {place} here, not in the hub's cache, and could not be fetched: {reason(error)}."
    if repositories.response_of(error) is not None:
        return f"{said} That may pass: start again later; what was fetched is kept."
    return f"{said} {ADVICE}"


def reason(error: Exception) -> str:
    """Why something was not delivered, in half a sentence."""
    response = repositories.response_of(error)
    if response is not None:
        wait = repositories.asked_to_wait(response)
        asks = f" and asks to wait {wait:.0f} seconds" if wait else ""
        return f"the hub answered {response.status_code}{asks}"
    chain = list(_causes(error))
    kinds = {type(one).__name__ for one in chain}
    hub = repositories.client()
    if kinds & {"ConnectError", "ConnectTimeout", "OfflineModeIsEnabled"}:
        return f"{hub.constants.ENDPOINT} cannot be reached"
    if kinds & {"ReadTimeout", "RemoteProtocolError", "ReadError"}:
        return f"{hub.constants.ENDPOINT} answers, but stood still or hung up before all was there"
    said = " ".join(str(chain[-1]).split())
    return f"{type(chain[-1]).__name__}: {said[:200]}".rstrip(".: ")
