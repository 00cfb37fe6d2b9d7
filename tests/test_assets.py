"""Assets are fetched from real servers on this machine, with everything that goes wrong on a network."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stepdown import assets, store
from stepdown.assets import archives, builtin, index, npm, repositories, settings
from stepdown.errors import CheckError, DataError, HubError, ModelError, StoreError

pytest.importorskip("unearth", reason="needs the extra train")

WHEEL = "toy_model-1.0-py3-none-any.whl"
CONTENT = b"an archive of some size " * 40_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = ("toy-model", "1.0", WHEEL, SHA256)

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """A web server on this machine: paths with their answers, and a list of the requests that came.

    An answer is (status, headers, body), or a function of the handler and the number of the request for that
    path, which gives one, or writes to the socket itself and gives None.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Callable[[Any, int], Answer | None]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                path = self.path.partition("?")[0]
                server.requests.append(path)
                server.headers.append(dict(self.headers))
                known = server.answers.get(path, (404, {}, b"not here"))
                found = known(self, server.requests.count(path)) if callable(known) else known
                if found is None:
                    return
                status, headers, body = found
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = answer

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:  # a client that hangs up is no news here
                pass

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def page(self, links: dict[str, str], path: str = "/simple/toy-model/") -> None:
        """Serve a page of a package index (PEP 503): link → text."""
        rows = "".join(f'<a href="{link}">{text}</a>' for link, text in links.items())
        self.answers[path] = (
            200,
            {"Content-Type": "text/html"},
            f"<html><body>{rows}</body></html>".encode(),
        )

    def release(self, content: bytes = CONTENT, sha256: str = SHA256) -> None:
        """Serve the toy release, beside files that are not asked for."""
        self.page(
            {
                f"/files/{WHEEL}#sha256={sha256}": WHEEL,
                "/files/toy_model-2.0-py3-none-any.whl": "toy_model-2.0-py3-none-any.whl",
                "/files/toy-model-1.0.tar.gz": "toy-model-1.0.tar.gz",
            }
        )
        self.answers[f"/files/{WHEEL}"] = (200, {}, content)

    def asked_for(self, path: str) -> int:
        return self.requests.count(path)

    def close(self) -> None:
        self.closing.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty cache, and none of the settings of whoever runs the tests."""
    for name in list(os.environ):
        foreign = name.startswith(("PIP_", "UV_", "HF_")) and name != "HF_HUB_DISABLE_TELEMETRY"
        if foreign or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("STEPDOWN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def index_url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The user's package index is the test's server."""
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    return server.url


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    from stepdown.assets import sources

    monkeypatch.setattr(sources, "PAUSES", (0.0, 0.0))


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def one_line(caught: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- a file of a release


def test_a_file_is_fetched_once_and_then_kept(server: Server, index_url: str) -> None:
    server.release()
    seen: list[tuple[int, int]] = []
    path = index.fetch(*FILE, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path == store.cache_dir() / "downloads" / WHEEL
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert server.requests == ["/simple/toy-model/", f"/files/{WHEEL}"], "nothing else is asked for"
    server.close()
    assert index.fetch(*FILE) == path, "a warm cache needs no network"


def test_indexes_that_speak_json_or_list_no_digest_serve_too(server: Server, index_url: str) -> None:
    listed = {"url": f"../../files/{WHEEL}", "filename": WHEEL, "hashes": {}, "yanked": "too old"}
    page = {"meta": {"api-version": "1.0"}, "name": "toy-model", "files": [listed]}
    kind = "application/vnd.pypi.simple.v1+json"
    server.answers["/simple/toy-model/"] = (200, {"Content-Type": kind}, json.dumps(page).encode())
    server.answers[f"/files/{WHEEL}"] = (200, {}, CONTENT)
    assert index.fetch(*FILE).read_bytes() == CONTENT


def test_redirects_are_followed(server: Server, index_url: str) -> None:
    server.release()
    moved = server.answers.pop("/simple/toy-model/")
    server.answers["/simple/toy-model/"] = (302, {"Location": "/elsewhere/toy-model/"}, b"")
    server.answers["/elsewhere/toy-model/"] = moved
    assert index.fetch(*FILE).read_bytes() == CONTENT


def test_a_server_that_can_compress_is_asked_not_to(server: Server, index_url: str) -> None:
    server.release()

    def compressing(handler: Any, _: int) -> Answer:
        if "gzip" in handler.headers.get("Accept-Encoding", ""):
            return 200, {"Content-Encoding": "gzip"}, gzip.compress(CONTENT)
        return 200, {}, CONTENT

    server.answers[f"/files/{WHEEL}"] = compressing
    assert index.fetch(*FILE).read_bytes() == CONTENT


def test_another_file_under_the_name_is_refused_by_what_the_index_lists(
    server: Server, index_url: str
) -> None:
    server.release(sha256="0" * 64)
    with pytest.raises(HubError, match="another sha256 than expected") as caught:
        index.fetch(*FILE)
    assert "serves the original" in one_line(caught)
    assert server.asked_for(f"/files/{WHEEL}") == 0


@pytest.mark.parametrize("altered", [b"something else", CONTENT + b"!", b""])
def test_altered_content_is_refused_and_not_kept(server: Server, index_url: str, altered: bytes) -> None:
    server.release(altered)
    with pytest.raises(HubError, match="is not the expected file") as caught:
        index.fetch(*FILE)
    assert SHA256[:12] in one_line(caught)
    assert [path.name for path in (store.cache_dir() / "downloads").iterdir()] == [f"{WHEEL}.lock"]


def test_the_next_source_serves_where_the_first_one_altered_it(
    server: Server, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.release(b"altered")
    server.page({f"/good/{WHEEL}": WHEEL}, "/other/toy-model/")
    server.answers[f"/good/{WHEEL}"] = (200, {}, CONTENT)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/other")
    assert index.fetch(*FILE).read_bytes() == CONTENT


def test_a_package_that_the_index_does_not_have(server: Server, index_url: str) -> None:
    with pytest.raises(HubError, match=r"has no package toy-model \(404\)") as caught:
        index.fetch(*FILE)
    assert f"{server.url}/simple" in one_line(caught)
    assert "Name a package index that has it" in str(caught.value)


def test_a_version_or_file_that_the_index_does_not_have(server: Server, index_url: str) -> None:
    server.release()
    with pytest.raises(HubError, match=r"has no toy-model 3\.0 as toy_model-3\.0\.zip"):
        index.fetch("toy-model", "3.0", "toy_model-3.0.zip", SHA256)
    with pytest.raises(HubError, match=r"has no toy-model 1\.0 as toy_model-1\.0\.zip"):
        index.fetch("toy-model", "1.0", "toy_model-1.0.zip", SHA256)


def test_access_refused_is_told_without_the_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers["/simple/toy-model/"] = (401, {"WWW-Authenticate": "Basic"}, b"")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple".replace("://", "://ann:secret@"))
    with pytest.raises(HubError, match=r"refused access \(401\)") as caught:
        index.fetch(*FILE)
    assert "secret" not in one_line(caught)


def test_credentials_in_the_index_url_are_used_for_its_files_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.release()
    for path in ("/simple/toy-model/", f"/files/{WHEEL}"):
        granted = server.answers[path]

        def guarded(handler: Any, _: int, granted: Any = granted) -> Answer:
            right = handler.headers.get("Authorization") == "Basic YW5uOnNlY3JldA=="
            return granted if right else (401, {}, b"")

        server.answers[path] = guarded
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple".replace("://", "://ann:secret@"))
    assert index.fetch(*FILE).read_bytes() == CONTENT


# --- npm's registry

TARBALL = npm.Release("toy-package", "1.0.0", SHA256, "sha512-not-looked-at", len(CONTENT))
TARBALL_PATH = "/npm/toy-package/-/toy-package-1.0.0.tgz"


@pytest.fixture
def registry(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The user's npm registry is the test's server, and has the toy package."""
    monkeypatch.setenv("npm_config_registry", f"{server.url}/npm/")
    server.answers[TARBALL_PATH] = (200, {}, CONTENT)
    return server


def test_an_archive_of_npm_is_fetched_once_from_the_registry_that_is_named(registry: Server) -> None:
    seen: list[tuple[int, int]] = []
    path = npm.fetch(TARBALL, lambda done, total: seen.append((done, total)))
    assert path == store.cache_dir() / "downloads" / "toy-package-1.0.0.tgz"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert npm.fetch(TARBALL) == path
    assert registry.requests == [TARBALL_PATH]
    path.write_bytes(CONTENT[:-1])
    assert npm.fetch(TARBALL).read_bytes() == CONTENT


def test_another_archive_than_the_one_meant_is_refused(registry: Server) -> None:
    registry.answers[TARBALL_PATH] = (200, {}, CONTENT + b"!")
    with pytest.raises(HubError, match="is not the expected file") as caught:
        npm.fetch(TARBALL)
    assert "npm_config_registry" in one_line(caught)
    assert not (store.cache_dir() / "downloads" / TARBALL.filename).exists()


@pytest.mark.usefixtures("_no_pauses")
def test_a_registry_that_does_not_deliver_is_told(registry: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    del registry.answers[TARBALL_PATH]
    with pytest.raises(HubError, match="answered 404"):
        npm.fetch(TARBALL)
    registry.answers[TARBALL_PATH] = (500, {}, b"")
    with pytest.raises(HubError, match="answered 500"):
        npm.fetch(TARBALL)
    monkeypatch.setenv("npm_config_registry", f"http://user:secret@127.0.0.1:{closed_port()}")
    with pytest.raises(HubError, match="could not be reached") as caught:
        npm.fetch(TARBALL)
    assert "secret" not in one_line(caught)
    assert f"put the file into {store.cache_dir() / 'downloads'}" in one_line(caught)
    monkeypatch.setenv("npm_config_registry", "my mirror")
    with pytest.raises(HubError, match="names no http or https address"):
        npm.fetch(TARBALL)


def test_the_registry_is_npms_own_unless_another_is_named() -> None:
    assert npm.registry({}) == npm.registry({"npm_config_registry": ""}) == "https://registry.npmjs.org"
    assert (
        npm.registry({"NPM_CONFIG_REGISTRY": "https://mirror.example/npm/"}) == "https://mirror.example/npm"
    )


# --- networks that fail


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("path", ["/simple/toy-model/", f"/files/{WHEEL}"])
def test_a_server_that_stumbles_is_asked_again(server: Server, index_url: str, path: str) -> None:
    server.release()
    good = server.answers[path]
    server.answers[path] = lambda _, count: (503, {}, b"") if count < 3 else good  # type: ignore[assignment,return-value]
    assert index.fetch(*FILE).read_bytes() == CONTENT
    assert server.asked_for(path) == 3


@pytest.mark.usefixtures("_no_pauses")
def test_a_server_that_stays_down_is_told(server: Server, index_url: str) -> None:
    server.answers["/simple/toy-model/"] = (500, {}, b"")
    with pytest.raises(HubError, match="answered 500"):
        index.fetch(*FILE)
    assert server.asked_for("/simple/toy-model/") == 3


@pytest.mark.usefixtures("_no_pauses")
def test_a_connection_that_breaks_off_is_tried_again(server: Server, index_url: str) -> None:
    server.release()

    def breaking(handler: Any, count: int) -> Answer | None:
        if count > 1:
            return 200, {}, CONTENT
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:100_000])
        handler.close_connection = True
        return None

    server.answers[f"/files/{WHEEL}"] = breaking
    assert index.fetch(*FILE).read_bytes() == CONTENT


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("path", ["/simple/toy-model/", f"/files/{WHEEL}"])
def test_a_server_that_falls_silent_is_given_up(server: Server, index_url: str, path: str) -> None:
    server.release()

    def silent(handler: Any, _: int) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"<html>")
        handler.wfile.flush()
        server.closing.wait(30)

    server.answers[path] = silent
    started = time.monotonic()
    with pytest.raises(HubError, match=r"did not answer within 0\.2 seconds") as caught:
        index.fetch(*FILE, timeout=0.2)
    assert time.monotonic() - started < 5
    assert "Connect to the network" in one_line(caught)
    assert not (store.cache_dir() / "downloads" / WHEEL).exists()


@pytest.mark.usefixtures("_no_pauses")
def test_offline_with_a_cold_cache_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    with pytest.raises(HubError, match="could not be reached") as caught:
        assets.data("demo:movie-snippets")
    message = one_line(caught)
    says = (
        "demo:movie-snippets (2 MB) is not in the cache: vaderSentiment-0.5.zip could not be fetched: http://"
    )
    assert message.startswith(says)
    assert f"fetched once and then kept in {store.cache_dir() / 'downloads'}" in message
    assert "Connect to the network" in message
    assert "PIP_INDEX_URL" in message


def test_an_index_that_is_neither_https_nor_trusted_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    with pytest.raises(HubError, match="neither https nor a trusted host"):
        index.fetch(*FILE)


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("url", ["no-index-at-all", "https://[::bad/simple", "ftp://127.0.0.1/simple"])
def test_an_index_url_that_makes_no_sense_is_told(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", url)
    with pytest.raises(HubError, match="could not be fetched") as caught:
        index.fetch(*FILE)
    assert url in one_line(caught)


def test_certificates_that_are_not_there_are_told(index_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CERT", "/no/such/file.pem")
    with pytest.raises(HubError, match=r"certificates .* /no/such/file\.pem") as caught:
        index.fetch(*FILE)
    one_line(caught)


@pytest.mark.parametrize("variable", ["PIP_PROXY", "http_proxy"])
def test_a_proxy_serves_trusted_hosts_too(
    server: Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The server is a proxy here: it is asked for whole URLs of a host that does not exist."""
    server.release()
    for path in list(server.answers):
        server.answers[f"http://index.invalid{path}"] = server.answers.pop(path)
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "index.invalid")
    monkeypatch.setenv(variable, server.url)
    assert index.fetch(*FILE).read_bytes() == CONTENT
    assert server.requests[-1] == f"http://index.invalid/files/{WHEEL}"


def test_a_proxy_that_cannot_be_used_is_told(index_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_PROXY", "gopher://ann:secret@127.0.0.1")
    with pytest.raises(HubError, match="the proxy or the hosts that the settings name are no use") as caught:
        index.fetch(*FILE)
    assert "secret" not in one_line(caught)


# --- the cache


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: b"?" + whole[1:], lambda _: b""])
def test_a_damaged_file_in_the_cache_is_fetched_again(
    server: Server, index_url: str, damage: Callable[[bytes], bytes]
) -> None:
    server.release()
    path = index.fetch(*FILE)
    path.write_bytes(damage(CONTENT))
    assert index.fetch(*FILE).read_bytes() == CONTENT
    assert server.asked_for(f"/files/{WHEEL}") == 2


def test_two_processes_fetch_it_once(server: Server, index_url: str) -> None:
    server.release()

    def slow(handler: Any, _: int) -> Answer:
        time.sleep(0.3)
        return 200, {}, CONTENT

    server.answers[f"/files/{WHEEL}"] = slow
    code = f"from stepdown.assets import index; print(index.fetch(*{FILE!r}).stat().st_size)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        out, err = process.communicate()
        assert out.strip() == str(len(CONTENT)), err
        assert err == "" or "another process is fetching" in err  # whoever waits says so
    assert server.asked_for(f"/files/{WHEEL}") == 1


def test_a_killed_download_leaves_nothing_that_stays(server: Server, index_url: str) -> None:
    server.release()
    started = threading.Event()

    def stuck(handler: Any, count: int) -> Answer | None:
        if count > 1:
            return 200, {}, CONTENT
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:500_000])
        started.set()
        server.closing.wait(30)
        return None

    server.answers[f"/files/{WHEEL}"] = stuck
    code = f"from stepdown.assets import index; index.fetch(*{FILE!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    assert started.wait(30)
    process.kill()
    process.wait()
    assert index.fetch(*FILE).read_bytes() == CONTENT
    names = sorted(path.name for path in (store.cache_dir() / "downloads").iterdir())
    assert names == [WHEEL, f"{WHEEL}.lock"]


def test_a_cache_that_cannot_be_written_is_told(
    server: Server, index_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.release()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPDOWN_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="a file is where a folder should be"):
        index.fetch(*FILE)


# --- the user's settings


def test_a_folder_of_packages_serves_without_any_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / WHEEL).write_bytes(CONTENT)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(HubError, match="name no package index"):
        index.fetch(*FILE)
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path / 'nowhere'} {tmp_path / 'wheels'}")
    assert index.fetch(*FILE).read_bytes() == CONTENT


def test_local_places_without_the_package_are_passed_over_quietly(
    server: Server,
    index_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "simple" / "toy-model").mkdir(parents=True)  # without a page in it
    missing = (tmp_path / "missing").as_uri()
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{missing} {(tmp_path / 'simple').as_uri()}")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path / 'nowhere'} {missing}")
    with pytest.raises(HubError, match="404") as caught:
        index.fetch(*FILE)
    assert str(tmp_path / "missing") not in str(caught.value), "only the real index is worth a word"
    server.release()
    assert index.fetch(*FILE).read_bytes() == CONTENT
    assert capfd.readouterr() == ("", "")


def test_an_index_of_plain_files_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "simple" / "toy-model").mkdir(parents=True)
    (tmp_path / "simple" / "toy-model" / "index.html").write_text(f'<a href="../../{WHEEL}">{WHEEL}</a>')
    (tmp_path / WHEEL).write_bytes(CONTENT)
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert index.fetch(*FILE).read_bytes() == CONTENT


PIP_CONF = """
[global]
index-url = https://global.example/simple
timeout = 3
[install]
trusted-host = one.example
    two.example:8080
[download]
extra_index_url = https://extra.example/simple
no-index = false
[list]
index-url = https://never.example/simple
"""


@pytest.mark.parametrize("pip", [True, False], ids=["told by pip", "parsed by us"])
def test_settings_of_pips_files_with_and_without_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    (tmp_path / "pip.conf").write_text(PIP_CONF)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    if pip:
        pytest.importorskip("pip")
    else:
        real = importlib.util.find_spec
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pip" else real(name))
    read = settings.read()
    assert read.indexes == ("https://global.example/simple", "https://extra.example/simple")
    assert read.trusted_hosts == ("one.example", "two.example:8080")
    assert read.timeout == 3.0
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "not a number")
    read = settings.read()
    assert read.indexes == ("https://mine.example/simple", "https://extra.example/simple")
    assert read.trusted_hosts == ("one.example", "two.example:8080"), "an empty variable says nothing"


def test_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_from_files", lambda _: {"index-url": "https://file.example/simple"})
    assert settings.read({}).indexes == ("https://file.example/simple",)
    uv = {
        "UV_DEFAULT_INDEX": "mine=https://uv.example/simple",
        "UV_INDEX": "b=https://b.example c=https://c.example",
    }
    assert settings.read(uv).indexes == (
        "https://uv.example/simple",
        "https://b.example",
        "https://c.example",
    )
    assert settings.read({**uv, "PIP_INDEX_URL": "https://pip.example"}).indexes[0] == "https://pip.example"
    assert settings.read({"UV_INDEX_URL": "https://old.example"}).indexes == ("https://old.example",)
    assert settings.read({"PIP_NO_INDEX": "yes"}).indexes == ()
    assert settings.read({"PIP_PROXY": "proxy.example:3128"}).proxy == "http://proxy.example:3128"
    assert settings.read({"PIP_CERT": "a.pem", "PIP_CLIENT_CERT": "b.pem"}).cert == "a.pem"
    assert settings.read({"PIP_DEFAULT_TIMEOUT": "180"}).timeout == 180.0
    monkeypatch.setattr(settings, "_from_files", lambda _: {})
    assert settings.read({}).indexes == ("https://pypi.org/simple",)


def test_a_pip_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pip")
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    settings.read()
    assert not (tmp_path / "ran").exists()


# --- archives


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return content.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return content.getvalue()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_single_members_are_read_and_bounded(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    content = pack({"a/x": b"abc", "../evil": b"evil", "bomb": bytes(5_000_000)})
    path = tmp_path / "archive"
    path.write_bytes(content)
    assert archives.read(path, "a/x", limit=3) == archives.read(content, "a/x", limit=3) == b"abc"
    archives.extract(path, "a/x", tmp_path / "x", limit=3)
    assert (tmp_path / "x").read_bytes() == b"abc"
    with pytest.raises(HubError, match="larger than the 2 bytes"):
        archives.read(path, "a/x", limit=2)
    with pytest.raises(HubError, match="larger than"):
        archives.read(path, "bomb", limit=2_000_000)
    with pytest.raises(HubError, match="not the archive it should be"):
        archives.read(path, "absent", limit=3)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(HubError, match="archive"):
        archives.read(path, "bomb", limit=9_000_000)
    assert sorted(child.name for child in tmp_path.iterdir()) == ["archive", "x"]


def test_what_is_no_file_in_an_archive_or_no_archive_is_told() -> None:
    with pytest.raises(HubError, match="not a file"):
        archives.read(tarred({}), "folder", limit=3)
    with pytest.raises(HubError, match="not the archive"):
        archives.read(b"no archive at all", "x", limit=3)


# --- built-ins


def toy_builtin(content: bytes, unpack: Callable[[Sequence[Path], Path], None]) -> builtin.Builtin:
    release = builtin.Archive("toy-model", "1.0", WHEEL, hashlib.sha256(content).hexdigest(), len(content))
    return builtin.Builtin("demo:toy", "model", "a toy", "this test", "not stated", (release,), unpack)


def test_a_builtin_is_unpacked_once_and_again_when_damaged(
    server: Server, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped({"toy/config.json": b"{}", "toy/code.py": b"raise SystemExit"})
    unpacked: list[Path] = []

    def unpack(files: Sequence[Path], folder: Path) -> None:
        (archive,) = files
        unpacked.append(archive)
        archives.extract(archive, "toy/config.json", folder / "config.json", limit=10)

    monkeypatch.setitem(builtin.BUILTINS, "demo:toy", toy_builtin(content, unpack))
    server.release(content, hashlib.sha256(content).hexdigest())
    assert assets.cached("demo:toy") is None
    folder = assets.model("demo:toy")
    assert assets.cached("demo:toy") == folder
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "manifest.json"]
    manifest = store.read_json(folder / "manifest.json")
    assert (manifest["name"], manifest["licence"]) == ("demo:toy", "not stated")
    server.close()
    assert assets.model("demo:toy") == folder
    assert len(unpacked) == 1
    (folder / "config.json").write_bytes(b"[]")
    assert (assets.model("demo:toy") / "config.json").read_bytes() == b"{}", (
        "made again from the kept archive"
    )
    assert len(unpacked) == 2


def test_a_builtin_that_cannot_be_unpacked_leaves_nothing(
    server: Server, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(files: Sequence[Path], folder: Path) -> None:
        (archive,) = files
        (folder / "half").write_text("half")
        archives.extract(archive, "absent", folder / "x", limit=10)

    content = zipped({"x": b""})
    monkeypatch.setitem(builtin.BUILTINS, "demo:toy", toy_builtin(content, unpack))
    server.release(content, hashlib.sha256(content).hexdigest())
    with pytest.raises(HubError, match="not the archive it should be"):
        assets.model("demo:toy")
    assert assets.cached("demo:toy") is None
    assert [path.name for path in (store.cache_dir() / "builtin").iterdir()] == ["toy.lock"]


def test_a_builtin_in_several_parts_is_joined_and_its_progress_runs_through(
    server: Server, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = zipped({"toy/config.json": b"{}"})
    cut = len(whole) // 2
    parts = [zipped({"part": whole[:cut]}), zipped({"part": whole[cut:]})]
    releases = []
    for number, content in enumerate(parts, 1):
        package, filename = f"toy-part-{number}", f"toy_part_{number}-1.0-py3-none-any.whl"
        digest = hashlib.sha256(content).hexdigest()
        server.page({f"/files/{filename}#sha256={digest}": filename}, f"/simple/{package}/")
        server.answers[f"/files/{filename}"] = (200, {}, content)
        releases.append(builtin.Archive(package, "1.0", filename, digest, len(content)))

    def unpack(files: Sequence[Path], folder: Path) -> None:
        archives.join([(file, "part") for file in files], folder / "whole.zip", limit=len(whole))
        archives.extract(folder / "whole.zip", "toy/config.json", folder / "config.json", limit=10)

    toy = builtin.Builtin("demo:toy", "model", "a toy", "this test", "not stated", tuple(releases), unpack)
    monkeypatch.setitem(builtin.BUILTINS, "demo:toy", toy)
    told: list[tuple[int, int]] = []
    folder = assets.model("demo:toy", progress=lambda done, total: told.append((done, total)))
    assert (folder / "whole.zip").read_bytes() == whole
    assert (folder / "config.json").read_bytes() == b"{}"
    assert told[-1] == (toy.size, toy.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_snippets_other_than_the_documented_ones_are_refused(tmp_path: Path) -> None:
    table = b"1\t2.5\tGood.\r\n2\t-2.5\tBad."
    inner = tarred({"hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": table})
    archive = tmp_path / "vaderSentiment-0.5.zip"
    archive.write_bytes(zipped({"vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz": inner}))
    with pytest.raises(CheckError, match="movie snippets"):
        builtin.BUILTINS["demo:movie-snippets"].unpack([archive], tmp_path)


def test_every_builtin_tells_where_it_comes_from() -> None:
    for name, entry in assets.BUILTINS.items():
        assert name == entry.name
        assert name.startswith("demo:")
        assert all(len(archive.sha256) == 64 for archive in entry.archives)
        assert entry.about
        assert entry.source
        assert entry.licence


def test_unknown_builtins_are_answered_with_the_nearest_and_the_list() -> None:
    with pytest.raises(
        ModelError, match=r"no built-in demo:minilm-l7\. Did you mean demo:minilm-l6\?.*models: "
    ) as caught:
        assets.model("demo:minilm-l7")
    assert "movie-snippets" not in one_line(caught)
    with pytest.raises(DataError, match=r"no built-in demo:zzz\. Built-in data: demo:movie-snippets"):
        assets.data("demo:zzz")
    with pytest.raises(ModelError, match="demo:movie-snippets is built-in data, and model is needed"):
        assets.model("demo:movie-snippets")
    with pytest.raises(DataError, match="demo:minilm-l6 is built-in model, and data is needed"):
        assets.data("demo:minilm-l6")


# --- models by name


def test_a_folder_is_a_model_if_it_has_a_config(tmp_path: Path) -> None:
    folder = tmp_path / "teacher"
    folder.mkdir()
    (folder / "weights.pt").write_text("")
    with pytest.raises(ModelError, match=r"config\.json was expected.*found: weights\.pt"):
        assets.model(folder)
    (folder / "config.json").write_text("{}")
    assert assets.model(str(folder)) == folder
    with pytest.raises(ModelError, match="is a file"):
        assets.model(folder / "config.json")


@pytest.mark.parametrize("name", ["./models/teacher", "/no/such/folder", "a/b/c", "", "~/nothing/here"])
def test_a_missing_folder_that_cannot_be_a_hub_id(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        assets.model(name)


def test_a_missing_folder_is_told_with_both_places(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no folder .*, and it cannot be a hub id") as caught:
        assets.model(tmp_path / "absent")
    assert "demo:minilm-l6" in one_line(caught)


@pytest.mark.parametrize(
    ("name", "could_be"),
    [
        ("bert-base-uncased", True),
        ("google/bert_uncased_L-4_H-256_A-4", True),
        ("a/b/c", False),
        ("/a/b", False),
        ("./a", False),
        ("../a", False),
        ("~/a", False),
        ("a/", False),
        ("a b", False),
        ("a..b", False),
        ("a--b/c", False),
        ("é/b", False),
        ("x" * 97, False),
        ("data.git", False),
        ("", False),
    ],
)
def test_is_hub_id(name: str, could_be: bool) -> None:
    assert assets.is_hub_id(name) is could_be


# --- the hub, of which the rest is in test_hub.py


def test_telemetry_is_off_even_if_the_client_was_imported_before() -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    constants.HF_HUB_DISABLE_TELEMETRY = False
    repositories.client()
    assert constants.HF_HUB_DISABLE_TELEMETRY is True
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


# --- the real built-ins


@pytest.mark.slow
def test_the_real_builtins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the user's own settings and cache
    rows = [json.loads(line) for line in assets.data("demo:movie-snippets").read_text("utf-8").splitlines()]
    counts = [sum(row["label"] == label for row in rows) for label in ("positive", "negative", None)]
    assert counts == [4982, 5061, 562]
    assert rows[2] == {"text": "Effective but too tepid biopic", "label": "negative"}
    transformers = pytest.importorskip("transformers")
    folder = assets.model("demo:minilm-l6")
    model = transformers.AutoModel.from_pretrained(folder, local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert sum(weights.numel() for weights in model.parameters()) == 22_713_216
    assert tokenizer("a tepid biopic")["input_ids"][0] == 101
