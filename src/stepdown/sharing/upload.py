"""Sends a parcel: whatever is large first, then one commit with all of it, so that a repository has it whole or not.

The hub's own client does the work. It repeats by itself what it sends of files; what it asks for once, a description, a
new repository, the commit, is asked for again here where that may help.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from stepdown import __version__
from stepdown.assets import repositories
from stepdown.errors import HubError, InputError, StepdownError
from stepdown.sharing import landing, refusals
from stepdown.sharing.landing import MAIN, OF_THE_HUB, Place, There
from stepdown.sharing.parcel import Parcel

PATIENCE = (
    60.0  # seconds without an answer after which a request is lost; the client itself would wait for ever
)


@dataclass(frozen=True)
class Pushed:
    """What became of a parcel.

    Attributes:
        place: where it is.
        commit: that holds it.
        is_new: the repository was made for it.
        is_changed: something was sent; else all of it was there already.
        others: names of files that were there and stay.
    """

    place: Place
    commit: str
    is_new: bool
    is_changed: bool
    others: tuple[str, ...]


def push(
    parcel: Parcel,
    place: Place,
    *,
    create: bool = True,
    message: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Pushed:
    """Send a parcel to a hub, in one commit.

    Args:
        parcel: one that `check` let pass.
        place: where to.
        create: make the repository and the branch if they are not there.
        message: of the commit.
        tell: is called with what happens, line by line.

    Raises:
        InputError: there is no token; the repository or branch is not there and is not to be made; the repository is
            public and was to be private; the hub finds fault with the card.
        HubError: the hub cannot be reached, refuses, or does not take it.
    """
    hub = repositories.client()
    if hub.constants.HF_HUB_OFFLINE:
        raise HubError("HF_HUB_OFFLINE keeps anything from being sent. Unset it, and push again.")
    if not hub.get_token():
        raise InputError(
            "A hub takes nothing from strangers. Set HF_TOKEN to a token that may write, which the settings of your "
            "account at the hub give, or log in once with: hf auth login"
        )
    errand = _Errand(hub, parcel, place, create, tell)
    with _settled(hub):
        try:
            return errand.run(message or f"Upload with stepdown {__version__}")
        except StepdownError:
            raise
        except Exception as error:  # of the client, its transport and what sends large files for it
            raise refusals.told(error, place, is_new=errand.is_new) from error


class _Errand:
    """One parcel on its way."""

    def __init__(
        self, hub: Any, parcel: Parcel, place: Place, create: bool, tell: Callable[[str], None]
    ) -> None:
        self.hub, self.api = hub, hub.HfApi()
        self.parcel, self.place = parcel, place
        self.create, self.tell = create, tell
        self.is_new = False

    def run(self, message: str) -> Pushed:
        there = self._arrive()
        self.place = replace(self.place, is_private=there.is_private)
        others = tuple(sorted(there.digests.keys() - self.parcel.files.keys() - OF_THE_HUB))
        if self._is_in(there):
            return Pushed(self.place, there.commit, self.is_new, False, others)
        return Pushed(self.place, self._commit(there, message), self.is_new, True, others)

    def _arrive(self) -> There:
        """What lies at the place, which is made if it is not there and may be."""
        try:
            there = landing.look(self.place)
        except self.hub.errors.RevisionNotFoundError:
            self._check_privacy(self._seen(MAIN))
            return self._new_branch()
        if there is None:
            there = self._new_repository()
        self._check_privacy(there)
        return there if self.place.branch == MAIN or not self.is_new else self._new_branch()

    def _new_repository(self) -> There:
        name = self.place.repository
        if not self.create:
            raise InputError(
                f"There is no repository {name} on the hub, or the token in use may not see it. Check the name, or "
                "leave out --no-create to make it."
            )
        self.tell(f"Making the repository {name} …")
        asked = {"exist_ok": True, "private": self.place.is_private}
        repositories.patiently(lambda: self.api.create_repo(name, **asked))
        self.is_new = True
        return self._seen(MAIN)

    def _check_privacy(self, there: There) -> None:
        if self.place.is_private and not there.is_private:
            raise InputError(
                f"{self.place.repository} is public, and --private was asked for. Make it private in its settings at "
                "the hub, name another, or leave out --private."
            )

    def _new_branch(self) -> There:
        name, branch = self.place.repository, self.place.branch
        if not self.create:
            raise InputError(
                f"{name} has no branch {branch!r}. Check the name, or leave out --no-create to make it."
            )
        self.tell(f"Making the branch {branch} …")
        repositories.patiently(lambda: self.api.create_branch(name, branch=branch, exist_ok=True))
        return self._seen(branch)

    def _seen(self, branch: str) -> There:
        """What lies on a branch that must be there."""
        there = landing.look(replace(self.place, branch=branch))
        if there is None:
            raise HubError(f"The hub has {self.place.repository}, and then does not find it. Push again.")
        return there

    def _commit(self, there: There, message: str) -> str:
        """The commit with all of the parcel."""
        self.tell(f"Sending {sum(self.parcel.sizes.values()):,} bytes …")
        additions = [
            self.hub.CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
            for name, content in self.parcel.files.items()
        ]
        asked = {"commit_message": message, "revision": self.place.branch, "parent_commit": there.commit}
        try:
            made = repositories.patiently(
                lambda: self.api.create_commit(self.place.repository, additions, **asked)
            )
        except Exception:  # told by whoever called, unless all is well
            commit = self._landed(there)
            if commit is None:
                raise
            return commit
        return str(made.oid)

    def _landed(self, before: There) -> str | None:
        """The commit, where only the answer that tells of it was lost on its way."""
        try:
            now = landing.look(self.place)
        except Exception:  # what went wrong before is told, not this
            return None
        return now.commit if now and now.commit != before.commit and self._is_in(now) else None

    def _is_in(self, there: There) -> bool:
        """Whether all of the parcel lies there."""
        return all(
            name in there.digests and landing.is_same(content, there.digests[name])
            for name, content in self.parcel.files.items()
        )


@contextmanager
def _settled(hub: Any) -> Iterator[None]:
    """The client as a push needs it: it gives up in the end, and says nothing but what we say of it."""
    bars: Any = hub.utils  # its functions have no types
    session, has_bars = hub.get_session(), not bars.are_progress_bars_disabled()
    before, session.timeout = session.timeout, PATIENCE
    if not sys.stderr.isatty():
        bars.disable_progress_bars()
    try:
        with repositories.quiet(), warnings.catch_warnings():
            # What the hub has to remark on a card's metadata is no fault.
            warnings.filterwarnings("ignore", message="Warnings while validating metadata")
            yield
    finally:
        session.timeout = before
        if has_bars:
            bars.enable_progress_bars()
