"""Reads a data set of the Hugging Face hub, through the library `datasets`; code from the hub is never run.

The commit is looked up first and the library is given that, so that all files are of one commit, whose name goes into
results.json. The files of the configuration that is asked for are fetched as models are; the library finds them there
and makes its tables of them, which it keeps: without a network they serve as they are.
"""

from __future__ import annotations

import errno
import glob
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stepdown.assets import refusals, repositories, versions
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
        import datasets  # noqa: F401  # only to tell at once that it is not installed
    except ImportError:
        raise missing_extra("datasets", "train", "Reading data sets of the hub") from None
    loaded = _loaded(parts["id"], parts["config"])
    tables = tables_of(loaded, source.split("#")[0])
    if parts["split"] is None:
        return tables
    if parts["split"] not in tables:
        raise DataError(f"{source}: no split {parts['split']!r}. Its splits are: {', '.join(tables)}.")
    return {parts["split"]: tables[parts["split"]]}


def _loaded(hub_id: str, config: str | None) -> Mapping[str, Any]:
    """All splits of a configuration, a `datasets.DatasetDict`."""
    import datasets

    found, refusal = repositories.head("dataset", hub_id, None)
    following = versions.current()
    name = f"dataset {hub_id}"
    try:
        if found is not None and "README.md" in found.sizes:
            # Which tells of the configurations. Fetched first, since the library hides why it could not.
            repositories.snapshot("dataset", hub_id, found.commit, ["README.md"], found)
        with _as_we_like(offline=found is None):
            builder = datasets.load_dataset_builder(hub_id, config, revision=found.commit if found else None)
            commit = builder.hash
            if found is None and following.known.get(name, commit) != commit:
                raise HubError(
                    f"{hub_id}: this run began with its commit {following.known[name][:12]}, but the cache has "
                    f"{commit[:12]}. Connect to the network, and start again."
                )
            if found is not None and commit == found.commit:
                repositories.snapshot("dataset", hub_id, commit, _files(builder), found)
            builder.download_and_prepare()
            loaded: Mapping[str, Any] = builder.as_dataset()
    except StepdownError:
        raise
    except Exception as error:  # the client raises whatever its transport, parsers and file system raise
        raise told(error, hub_id, config, refusal) from error
    following.taken[name] = commit
    return loaded


def _files(builder: Any) -> list[str]:
    """Patterns of the files that a configuration is made of."""
    files = builder.config.data_files or {}
    named = [str(file).partition("@")[2].partition("/")[2] for several in files.values() for file in several]
    return [glob.escape(name) for name in named if name]


@contextmanager
def _as_we_like(*, offline: bool) -> Iterator[None]:
    """The libraries without what nobody asked for, and without a network if there is none.

    Nothing but the download is asked of the hub: no usage data, no ping that counts downloads. Where the hub did not
    answer, the library would look for half a minute before it looks into its cache. Its own progress bars rest where
    we draw one.
    """
    import datasets
    import huggingface_hub.constants as hub
    import huggingface_hub.utils as of_files

    hub.HF_HUB_DISABLE_TELEMETRY = True
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    was = hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    drawn = [] if versions.current().progress is None else [of_files, datasets.utils]
    drawn = [one for one in drawn if not one.are_progress_bars_disabled()]
    if offline:
        hub.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    for one in drawn:
        one.disable_progress_bars()
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = was
        for one in drawn:
            one.enable_progress_bars()


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


def told(
    error: Exception, hub_id: str, config: str | None = None, refusal: Exception | None = None
) -> StepdownError:
    """What the libraries raised, in one line of the user's words.

    Args:
        error: whatever was raised.
        hub_id, config: of the data set.
        refusal: why the cache alone was asked, if it was.
    """
    import pyarrow
    from datasets import exceptions

    said = " ".join(str(error).split())
    name = type(error).__name__
    if isinstance(error, ValueError) and ("Config name is missing" in said or "BuilderConfig" in said):
        found = re.search(r"\[(.*?)\]", said)
        names = found[1].replace("'", "") if found else "see its page on the hub"
        what = "it has several configurations" if config is None else f"no configuration {config!r}"
        return DataError(f"{hub_id}: {what}; name one as {hub_id}:NAME. There are: {names}.")
    if "scripts are no longer supported" in said or name in ("EmptyDatasetError", "DataFilesNotFoundError"):
        return DataError(
            f"{hub_id}: this data set has no plain data files on the hub, only code, and code from a hub is not "
            f"run. Look for a copy of it in Parquet."
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return StoreError(f"{hub_id}: the disk is full; the download needs room in the hub's cache folder.")
    if "Available configs in the cache" in said:
        return HubError(
            f"{hub_id}: the hub's cache holds another configuration than {config!r}, which could not be fetched "
            f"({refusals.reason(refusal or error)}). {refusals.ADVICE}"
        )
    unread = (exceptions.DatasetBuildError, exceptions.SplitsVerificationError, pyarrow.ArrowException)
    if isinstance(error, unread):
        cause = error.__cause__ or error
        why = " ".join(str(cause).split())[:300]
        return HubError(f"{hub_id}: its files cannot be read as a table: {type(cause).__name__}: {why}")
    return refusals.told(refusal or error, "dataset", hub_id)
