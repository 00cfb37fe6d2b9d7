"""The kinds of field that recipes are made of: each with its type, its range, and what a message expects of it."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def listed(value: object) -> object:
    """A string or a list as a tuple; anything else as it is, for the schema to refuse."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Word = Annotated[str, Field(min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(listed)]


class Spec(BaseModel):
    """Base of every table of a recipe."""

    # Strict: TOML has types, and `seeds = true` or `epochs = "5"` is a mistake worth showing.
    # Python's regular expressions, so that `run_name` means the same characters.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, regex_engine="python-re")


def words(default: Any, says: str) -> Any:
    """One text or a list of them."""
    return Field(default, min_length=1, description=says)


def text(default: Any, says: str) -> Any:
    """A text that is not empty."""
    return Field(default, min_length=1, description=says)


def whole(default: Any, least: int, why: str = "") -> Any:
    """A whole number from `least` up."""
    return Field(default, ge=least, description=f"a whole number, at least {least:,}{why}")


def weight(default: Any) -> Any:
    """A number from 0 up."""
    return Field(default, ge=0, allow_inf_nan=False, description="a number, 0 or above")


def share(default: Any) -> Any:
    """A number from 0 to below 1."""
    return Field(default, ge=0, lt=1, allow_inf_nan=False, description="a number from 0 to below 1")


def fraction(default: Any, of: str = "the rows") -> Any:
    """A number above 0, at most a half."""
    says = f"a number above 0, at most 0.5: a share of {of}"
    return Field(default, gt=0, le=0.5, allow_inf_nan=False, description=says)


def learning_rate(default: Any) -> Any:
    """A number above 0, at most 1."""
    says = "a number above 0, at most 1, such as 1e-4"
    return Field(default, gt=0, le=1, allow_inf_nan=False, description=says)


def switch(default: Any) -> Any:
    """True or false."""
    return Field(default, description="true or false")


def run_name() -> Any:
    """The name of a run and its folder."""
    return Field(
        ...,
        max_length=60,
        pattern=r"^\w[\w.-]*\Z",
        description="a name for the run's folder: letters, digits, - _ . and no space, at most 60",
    )


def seed() -> Any:
    """Where random choices start."""
    return Field(default=0, ge=0, lt=2**32, description="a whole number from 0 to 4,294,967,295")
