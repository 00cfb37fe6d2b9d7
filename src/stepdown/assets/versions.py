"""Which commits of the hub's repositories a run takes, and who is told while they are fetched.

Data are opened deep inside the rooms that read them, and each of these functions would have to pass on what has
nothing to do with its own work. So what follows a run is the run's own context: whoever opens a repository asks
`current()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["model", "dataset"]
Progress = Callable[[str, int, int], None]


@dataclass
class Versions:
    """The commits of a run. Repositories are written `model owner/name` and `dataset owner/name`.

    Attributes:
        known: repository → commit that is taken, whatever its main branch holds by now.
        progress: called with (name, bytes done, bytes in all) while something is fetched.
        taken: repository → commit that was taken.
        moved: repository → commit of its main branch, where that is not the known one any more.
        unreachable: nobody answered at the hub's address, so that it is not asked again.
    """

    known: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    taken: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    unreachable: bool = False

    def of(self, kind: Kind) -> dict[str, str]:
        """Name → commit of the repositories of a kind that were taken."""
        whole = {name.partition(" "): commit for name, commit in self.taken.items()}
        return {name: commit for (own, _, name), commit in whole.items() if own == kind}


_current: ContextVar[Versions | None] = ContextVar("versions", default=None)


def current() -> Versions:
    """What follows the work that is being done; something new that nobody looks at if nothing does."""
    return _current.get() or Versions()


@contextmanager
def following(known: Mapping[str, str] | None = None, progress: Progress | None = None) -> Iterator[Versions]:
    """Follow what the block opens.

    Args:
        known: repository → commit, of what is to be taken as it was before.
        progress: as in `Versions`.
    """
    made = Versions(known or {}, progress)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)
