"""The user's own package index settings, as pip and uv read them.

Left out: uv.toml, whose indexes are tied to projects; who uses one can name its index in UV_DEFAULT_INDEX.
"""

from __future__ import annotations

import ast
import configparser
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PIP_DEFAULT_INDEX = "https://pypi.org/simple"
_PIP_DEFAULT_TIMEOUT = 15.0
_PIP_CONFIG_SECONDS = 60
# pip reads [global] for every command, and the command's own section on top. Many users put into [install]
# what they mean for all downloads.
_SECTIONS = ("global", "install", "download")


@dataclass(frozen=True)
class IndexSettings:
    """Where packages come from, and how to get there.

    Attributes:
        find_links: folders, pages or files that list packages, by path or URL.
        indexes: base URLs of package indexes (PEP 503), most important first.
        trusted_hosts: "host" or "host:port" that may be reached without a valid certificate.
        cert: file or folder of certificate authorities; None for the system's.
        client_cert: file with the client's own certificate and key.
        proxy: URL of a proxy; None leaves it to the standard environment variables.
        timeout: seconds that a server may take for its next bytes.
    """

    find_links: tuple[str, ...] = ()
    indexes: tuple[str, ...] = (_PIP_DEFAULT_INDEX,)
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None
    timeout: float = _PIP_DEFAULT_TIMEOUT


def read(environment: Mapping[str, str] | None = None) -> IndexSettings:
    """The settings from the environment (pip's names before uv's), then from pip's configuration files."""
    environment = os.environ if environment is None else environment
    options = _from_files(environment)
    for name, value in environment.items():
        # As in pip, an empty variable is none; PIP_CONFIG_FILE and others that are no option do no harm.
        if name.startswith("PIP_") and value:
            options[name.removeprefix("PIP_").lower().replace("_", "-")] = value

    def of(pip: str, *uv: str) -> list[str]:
        values = [environment.get(name, "") for name in uv]
        if not environment.get("PIP_" + pip.upper().replace("-", "_")) and any(values):
            return [_without_name(url) for value in values for url in value.split()]
        return options.get(pip, "").split()

    indexes = [*(of("index-url", "UV_DEFAULT_INDEX", "UV_INDEX_URL") or [_PIP_DEFAULT_INDEX])[:1]]
    indexes += of("extra-index-url", "UV_INDEX", "UV_EXTRA_INDEX_URL")
    if _is_true(options.get("no-index", "")) or _is_true(environment.get("UV_NO_INDEX", "")):
        indexes = []
    proxy = options.get("proxy")
    return IndexSettings(
        find_links=tuple(of("find-links", "UV_FIND_LINKS")),
        indexes=tuple(dict.fromkeys(indexes)),
        trusted_hosts=tuple(of("trusted-host", "UV_INSECURE_HOST")),
        cert=options.get("cert"),
        client_cert=options.get("client-cert"),
        proxy=f"http://{proxy}" if proxy and "://" not in proxy else proxy,
        timeout=_seconds(options.get("timeout") or options.get("default-timeout")),
    )


def _from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """pip's options by long name, from its configuration files alone."""
    if environment.get("PIP_CONFIG_FILE") == os.devnull:  # pip's own way to say: no files at all
        return {}
    sections = _told_by_pip(environment)
    if sections is None:
        sections = _parsed(environment)
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        for option, value in sections.get(section, {}).items():
            merged[option.removeprefix("--").lower().replace("_", "-")] = value
    return merged


def _told_by_pip(environment: Mapping[str, str]) -> dict[str, dict[str, str]] | None:
    """What `pip config list` says, since pip's own merge of its files is the truth; None if there is no pip.

    Each line reads `section.option='value'`; values from the environment are in the section `:env:`.
    """
    if importlib.util.find_spec("pip") is None:
        return None
    # -P: a pip.py that happens to lie in the working folder must not be run.
    command = [sys.executable, "-P", "-m", "pip", "config", "list", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=_PIP_CONFIG_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    sections: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, dot, option = name.rpartition(".")
        if dot:
            try:
                sections.setdefault(section, {})[option] = str(ast.literal_eval(value))
            except (ValueError, SyntaxError):
                continue
    return sections


def _parsed(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The same from the files themselves, for environments without pip."""
    parser = configparser.RawConfigParser()
    for path in _pip_files(environment):
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip would stop here; a file that it cannot read has no setting for us
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _pip_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files where pip looks for them, least important first."""
    import platformdirs

    named = environment.get("PIP_CONFIG_FILE")
    base = "pip.ini" if os.name == "nt" else "pip.conf"
    for folder in reversed(
        platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    ):
        yield Path(folder, base)
    if os.name != "nt":
        yield Path("/etc", base)
    if not (named and Path(named).exists()):
        yield Path("~", "pip" if os.name == "nt" else ".pip", base).expanduser()
        yield Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True), base)
    yield Path(sys.prefix, base)
    if named:
        yield Path(named)


def _without_name(url: str) -> str:
    """uv lets an index have a name, as in `internal=https://…`."""
    return re.sub(r"^[\w.-]+=(?=\w+://)", "", url)


def _is_true(value: str) -> bool:
    return value.strip().lower() in ("y", "yes", "t", "true", "on", "1")


def _seconds(value: str | None) -> float:
    try:
        seconds = float(value or "")
    except ValueError:
        return _PIP_DEFAULT_TIMEOUT
    return seconds if seconds > 0 else _PIP_DEFAULT_TIMEOUT
