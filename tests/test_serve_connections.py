"""Connections of `stepdown serve`: those that only wait are closed, and too many harm nobody; and by which names it
may be asked."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_bundle
from serving import Served, served

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")

from stepdown.runtime import Classifier, bundle
from stepdown.serve import server as servers
from stepdown.serve.app import create_app
from stepdown.serve.connections import Connection
from stepdown.serve.hosts import hosts

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 8 * 2**20  # more than the system holds for a client that does not read


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    bundle.write(folder / "b", tiny_bundle.about(), tiny_bundle.contents(folder))
    return folder / "b"


def meet(path: Path, client: Callable[[tuple[str, int], servers._Server], Any]) -> Any:
    """What a client finds that meets a server of this process."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(client(listener.getsockname(), server))
        finally:
            server.should_exit = True

    app = create_app(Classifier.load(path), "Tiny")

    @app.get("/large")
    async def large() -> str:
        return "x" * LARGE

    server = servers._Server(servers._config(app), lambda: asking.start(), lambda: None)
    asking = threading.Thread(target=run)
    with servers.listen("127.0.0.1", 0) as listener:
        server.run([listener])
    asking.join()
    return found[0]


def is_closed(connection: socket.socket, within: float) -> bool:
    connection.settimeout(within)
    try:
        return not connection.recv(1000)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


# --- those that wait --------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"", b"GET /hea", HEAD], ids=["nothing", "half a line", "half a head"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "after an answer"])
def test_a_connection_without_a_head_is_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes, before: bool
) -> None:
    monkeypatch.setattr(Connection, "seconds", 0.5)

    def client(address: tuple[str, int], _: servers._Server) -> bool:
        with socket.create_connection(address, timeout=60) as connection:
            if before:
                connection.sendall(HEAD + b"\r\n")
                while b'"status"' not in connection.recv(10_000):
                    pass
            connection.sendall(sent)
            return is_closed(connection, within=4)  # before uvicorn closes what is silent after an answer

    assert meet(path, client)


def test_bytes_one_by_one_do_not_put_the_end_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "seconds", 0.5)

    def client(address: tuple[str, int], _: servers._Server) -> bool:
        with socket.create_connection(address, timeout=60) as connection:
            for byte in HEAD * 4:
                connection.sendall(bytes([byte]))
                if is_closed(connection, within=0.1):
                    return True
        return False

    assert meet(path, client)


def test_a_body_has_a_deadline_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "seconds", 0.3)

    def client(address: tuple[str, int], _: servers._Server) -> bytes:
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n"
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(head)
            time.sleep(1)
            connection.sendall(b'{"texts": ["good"]}')
            return connection.recv(1000)

    assert meet(path, client).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("requests", [1, 3])
def test_who_does_not_take_the_answer_is_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    monkeypatch.setattr(Connection, "seconds", 0.5)

    def client(address: tuple[str, int], server: servers._Server) -> bool:
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * requests)
            assert connection.recv(1)
            until = time.monotonic() + 4
            while server.server_state.connections and time.monotonic() < until:
                time.sleep(0.05)
            return not server.server_state.connections

    assert meet(path, client)


def test_who_takes_the_answer_slowly_gets_all_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "seconds", 1.0)

    def client(address: tuple[str, int], _: servers._Server) -> int:
        got = 0
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
            connection.settimeout(60)
            connection.connect(address)
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while data := connection.recv(2**18):
                got += len(data)
                time.sleep(0.03)
        return got

    assert meet(path, client) > LARGE


# --- too many ---------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="limits of Unix")
@pytest.mark.parametrize("files", [120, 40])
def test_more_connections_than_files_harm_nobody(path: Path, files: int) -> None:
    with served(path, "--port", "0", files=files) as server:
        many = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(150)]
        time.sleep(1)
        many[0].sendall(HEAD + b"\r\n")
        assert many[0].recv(1000).startswith(b"HTTP/1.1 200"), "it answers those that it has taken"
        if files == 120:
            closed = [is_closed(one, within=0.01) for one in many]
            assert closed[: 120 - 96] == [False] * (120 - 96)
            assert closed[120 - 96 :] == [True] * (150 - 120 + 96)
        for one in many:
            one.close()
        until = time.monotonic() + 60
        while status(server, "localhost") != 200:
            assert time.monotonic() < until
        said = server.lines[1:]
        assert len(said) <= (0 if files == 120 else 1), said


# --- names ------------------------------------------------------------------------------------------


def status(server: Served, host: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", "/health", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def test_a_page_cannot_ask_under_a_name_of_its_own(path: Path) -> None:
    with served(path, "--port", "0", "--allow-host", "Texts.example.org") as server:
        for host in ("localhost", "LOCALHOST.:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:80"):
            assert status(server, host) == 200, host
        assert status(server, "texts.example.org:443") == 200
        for host in ("evil.example", "evil.example:80", "localhost.evil.example", "", "127.0.0.1@evil", "é"):
            assert status(server, host) == 421, host
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("POST", "/predict", b"{}", {"Host": "evil.example"})
        assert connection.getresponse().read().decode() == (
            '{"detail":"The Host is \'evil.example\'; expected localhost, 127.0.0.1, [::1], texts.example.org. '
            'Ask by such a name, or start the server with --allow-host and that one."}'
        )
        connection.request("GET", "/metrics", headers={"Host": "localhost"})
        assert 'path="/predict",status="421"} 1.0' in connection.getresponse().read().decode()
        connection.close()


@pytest.mark.parametrize(
    ("host", "address", "allowed", "names"),
    [
        ("127.0.0.1", "127.0.0.1", (), []),
        ("mine", "127.0.1.1", (), ["mine", "127.0.1.1"]),
        ("::1", "::1", ("a",), ["[::1]", "a"]),
        ("0.0.0.0", "0.0.0.0", (), None),
        ("::", "::", (), None),
        ("0.0.0.0", "0.0.0.0", ("a",), ["0.0.0.0", "a"]),
    ],
)
def test_names_are_checked_where_only_this_machine_asks(
    host: str, address: str, allowed: tuple[str, ...], names: list[str] | None
) -> None:
    found = hosts(host, address, allowed)
    assert (found if found is None else set(found)) == (
        None if names is None else {"localhost", "127.0.0.1", "[::1]", *names}
    )
