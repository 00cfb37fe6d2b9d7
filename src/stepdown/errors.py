"""What goes wrong, in the user's words.

    StepdownError
    ├── InputError          the user's input was wrong: exit code 2
    │   ├── RecipeError     a recipe, with every fault of it at once
    │   ├── DataError       a data file, a column, a label
    │   ├── ModelError      a model that cannot serve here
    │   └── BundleError     a bundle that cannot be read or trusted
    └── WorkError           it failed while working: exit code 1
        ├── StoreError      disk, permissions, a lock that another run holds
        ├── HubError        a hub or package index that did not deliver
        └── CheckError      a check of our own work that did not hold

A message says what was found, what was expected, and what to do next. None of these ever reaches a user of the
command line as a traceback.
"""

import re
import reprlib
from collections.abc import Sequence

# Control characters but for tab and line feed, and those that change the direction of what follows.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 60


class StepdownError(Exception):
    """Base of all errors that stepdown raises on purpose."""

    exit_code = 1


class InputError(StepdownError):
    """The user's input was wrong."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe has faults; `faults` lists all of them."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.source = source
        self.faults = list(faults)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join([f"{source}: {count}", *(f"  - {fault}" for fault in self.faults)]))


class DataError(InputError):
    """A data file, a column or a label cannot be used as it is."""


class ModelError(InputError):
    """A model cannot serve as teacher or student here."""


class BundleError(InputError):
    """A bundle cannot be read or trusted."""


class WorkError(StepdownError):
    """It failed while working, through no fault of the input."""


class StoreError(WorkError):
    """Disk full, no permission, or a lock that another process holds."""


class HubError(WorkError):
    """A hub or package index did not deliver."""


class CheckError(WorkError):
    """A check of our own work did not hold."""


def missing_extra(package: str, extra: str, purpose: str) -> InputError:
    """The error for an optional dependency that is not installed, with the exact line that installs it."""
    return InputError(
        f"{purpose} needs the package {package!r}, which is not installed. "
        f'Install it with: pip install "stepdown[{extra}]"'
    )


def inert(text: str) -> str:
    """A text for a terminal: what would steer that is spelled as JSON spells it, such as \\u009b."""
    return _STEERING.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def shown(value: object) -> str:
    """A value that was found, as Python writes it, in a few words however large or deep it is."""
    return _REPR.repr(value)
