"""Reads a data set of the Hugging Face hub, through the library `datasets`; code from the hub is never run."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stepdown.data.table import BLOCK, Block, Table
from stepdown.errors import DataError, HubError, StepdownError, StoreError, missing_extra

# owner/name or, for the oldest data sets, a bare name; then a configuration; then a split
HUB_ID = re.compile(r"(?P<id>[\w.-]+(?:/[\w.-]+)?)(?::(?P<config>[\w.+-]+))?(?:#(?P<split>[\w.-]+))?")


def open_hub(source: str) -> dict[str, Table]:
    """The splits of `id[:config][#split]`, by the hub's own names; only the one that `#split` names, if it does.

    Raises:
        DataError: there is no such data set, configuration or split.
        HubError: the hub cannot be reached, or does not let us in.
        StoreError: no room for the download.
    """
    parts = HUB_ID.fullmatch(source)
    if parts is None:
        raise DataError(f"{source!r} is neither a file or folder that exists nor a hub id[:config][#split].")
    try:
        import datasets
        import huggingface_hub.constants
    except ImportError:
        raise missing_extra("datasets", "train", "Reading data sets of the hub") from None
    try:
        # Nothing but the download is asked of the hub: no usage data, no ping that counts downloads.
        huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
        with _offline_if_unreachable():
            loaded = datasets.load_dataset(parts["id"], parts["config"])
    except Exception as error:  # the client raises whatever its transport, parsers and file system raise
        raise _said_plainly(source, parts["id"], parts["config"], error) from error
    tables = tables_of(loaded, source.split("#")[0])
    if parts["split"] is None:
        return tables
    if parts["split"] not in tables:
        raise DataError(f"{source}: no split {parts['split']!r}. Its splits are: {', '.join(tables)}.")
    return {parts["split"]: tables[parts["split"]]}


_PATIENCE = 10.0  # seconds that the hub may take to say that it is there


@contextmanager
def _offline_if_unreachable() -> Iterator[None]:
    """Without a network the client retries for half a minute before it looks into its cache: it need not."""
    import datasets
    import huggingface_hub.constants as hub
    from huggingface_hub import get_session

    was = hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    try:
        if not was[0]:
            get_session().head(hub.ENDPOINT, timeout=_PATIENCE)
    except Exception:  # whatever the transport raises: nobody answers
        hub.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = was


def tables_of(loaded: Mapping[str, Any], name: str) -> dict[str, Table]:
    """A `datasets.DatasetDict` as tables, by split; `name` is what messages call it."""
    return {split: _table(data, f"{name}#{split}") for split, data in loaded.items()}


def _table(data: Any, name: str) -> Table:
    def read(columns: tuple[str, ...]) -> Iterator[Block]:
        arrow = data.select_columns(list(dict.fromkeys(columns))).with_format("arrow")
        first = 1
        for batch in arrow.iter(BLOCK):
            yield Block(
                name,
                range(first, first + len(batch)),
                tuple(batch.column(column).to_pylist() for column in columns),
            )
            first += len(batch)

    labels = {column: names for column, feature in data.features.items() if (names := _names(feature))}
    return Table(name, tuple(data.column_names), read, labels)


def _names(feature: Any) -> tuple[str, ...]:
    """Names of a feature of class labels, or of lists of such."""
    if isinstance(feature, list) and feature:  # a list in the notation of older versions
        return _names(feature[0])
    member = getattr(feature, "feature", feature)
    return tuple(member.names or ()) if type(member).__name__ == "ClassLabel" else ()


def _said_plainly(source: str, hub_id: str, config: str | None, error: Exception) -> StepdownError:
    """What the hub's client raised, in one line of the user's words."""
    said = " ".join(str(error).split())
    name = type(error).__name__
    if "gated" in said.lower() or name == "GatedRepoError":
        return HubError(
            f"{source}: the hub asks for an account that has accepted this data set's terms. "
            f"Accept them on its page, then log in with: hf auth login"
        )
    if name in ("DatasetNotFoundError", "RepositoryNotFoundError", "HFValidationError"):
        place = f", and there is no file or folder {hub_id}" if config is None else ""
        return DataError(
            f"{source}: the hub has no data set of this name (or it is private){place}. Check the spelling."
        )
    if isinstance(error, ValueError) and ("Config name is missing" in said or "BuilderConfig" in said):
        found = re.search(r"\[(.*?)\]", said)
        names = found[1].replace("'", "") if found else "see its page on the hub"
        what = "it has several configurations" if config is None else f"no configuration {config!r}"
        return DataError(f"{source}: {what}; name one as {hub_id}:NAME. There are: {names}.")
    if "scripts are no longer supported" in said or name in ("EmptyDatasetError", "DataFilesNotFoundError"):
        return DataError(
            f"{source}: this data set has no plain data files on the hub, only code, and code from a hub is not "
            f"run. Look for a copy of it in Parquet."
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return StoreError(f"{source}: the disk is full; the download needs room in the hub's cache folder.")
    if isinstance(error, ConnectionError) or type(error).__module__.split(".")[0] in ("httpx", "requests"):
        return HubError(
            f"{source}: the Hugging Face hub cannot be reached, and the data set is not in its cache. "
            f"Check the connection, or name local files instead."
        )
    return HubError(f"{source}: the hub did not deliver: {name}: {said[:300]}")
