"""`stepdown serve` as a user meets it: a process that starts, answers many at once, and ends as it should."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tiny_bundle
from serving import Served, served

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("uvicorn", reason="needs the extra serve")
pytest.importorskip("prometheus_client", reason="needs the extra serve")

import uvicorn

from stepdown.cli.serve import serve
from stepdown.errors import InputError, WorkError
from stepdown.page import title
from stepdown.runtime import Classifier, bundle
from stepdown.runtime.predict import answers
from stepdown.serve import server as servers
from stepdown.serve.app import create_app

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    bundle.write(folder / "b", tiny_bundle.about(), tiny_bundle.contents(folder))
    return folder / "b"


@pytest.fixture(scope="module")
def server(path: Path) -> Iterator[Served]:
    with served(path, "--port", "0", "--max-body", "100000") as running:
        yield running


def asked(server: Served, texts: list[str]) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("POST", "/predict", json.dumps({"texts": texts}), JSON)
        said = connection.getresponse()
        return said.status, json.loads(said.read())
    finally:
        connection.close()


def half(server: Served) -> socket.socket:
    """A connection on which a request was begun and its body not yet sent."""
    begun = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = "POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    begun.sendall(f"{head}Content-Length: 19\r\n\r\n".encode())
    assert begun.recv(1000).startswith(b"HTTP/1.1 100"), "it waits for the body"
    return begun


def refuses(server: Served) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except ConnectionError:  # refused, or reset while the listener closes
        return True
    return False


def test_many_clients_at_once_get_what_the_classifier_says(server: Served, path: Path) -> None:
    words = ("good", "bad", "movie", "not", "a", "the", "!")
    requests = [
        [" ".join(words[(n * k) % 7] for k in range(1 + (n + m) % 9)) for m in range(n % 5 + 1)]
        for n in range(200)
    ]
    with ThreadPoolExecutor(32) as pool:
        said = list(pool.map(lambda texts: asked(server, texts), requests))
    classifier = Classifier.load(path)
    for texts, (status, answer) in zip(requests, said, strict=True):
        assert status == 200
        expected = answers(classifier, texts, 5)
        found = answer["predictions"]
        assert isinstance(found, list)
        assert [one["text"] for one in found] == texts
        # Other neighbours in a batch may change the last digit.
        for one, wanted in zip(found, expected, strict=True):
            assert one["scores"] == pytest.approx(wanted["scores"], abs=2e-6)


def test_a_body_without_a_length_is_cut_off_at_the_limit(server: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/predict", iter([b" " * 50_000] * 3), JSON, encode_chunked=True)
    said = connection.getresponse()
    assert said.status == 413
    assert "may have 100,000 bytes; this one has more" in json.loads(said.read())["detail"]
    connection.close()


def test_what_is_no_http_does_not_harm_it(server: Served) -> None:
    for nonsense in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)
    assert asked(server, ["good"])[0] == 200
    assert len(server.lines) == 1, "it is quiet by default"


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_after_what_was_asked(path: Path, number: int) -> None:
    with served(path, "--port", "0", "--access-log") as server:
        assert server.lines[0] == f"Serving {path} on {server.url} (Ctrl-C ends it)"
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        idle.request("GET", "/health")
        assert idle.getresponse().read()
        begun = half(server)
        server.process.send_signal(number)
        while not refuses(server):
            pass
        begun.sendall(b'{"texts": ["good"]}')
        said = b""
        while data := begun.recv(1 << 16):
            said += data
        begun.close()
        assert said.startswith(b"HTTP/1.1 200")
        assert b'{"text": "good", "label": ' in said
        assert server.ended() == 0
        idle.close()
        assert any(line.endswith('"GET /health HTTP/1.1" 200') for line in server.lines)
        assert not any("Traceback" in line for line in server.lines)


@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
def test_what_was_asked_and_not_read_yet_is_answered(path: Path) -> None:
    """The signal comes while a connection waits to be taken, its request in it."""
    app = create_app(Classifier.load(path), "Tiny")
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="on", log_level="error")

    def begun() -> None:
        client.connect(listener.getsockname())
        client.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        server.should_exit = True

    server = servers._Server(config, begun, lambda: None)
    with servers.listen("127.0.0.1", 0) as listener, socket.socket() as client:
        client.settimeout(60)
        server.run([listener])
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_connection_kept_open_is_answered_once_more_and_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        servers, "_LINGER", 60
    )  # this machine may be busy; it ends as soon as nobody is there
    app = create_app(Classifier.load(path), "Tiny")
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="on", log_level="error")
    told: list[tuple[int, str | None]] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=60)
        for _ in range(2):
            connection.request("GET", "/health")
            answer = connection.getresponse()
            answer.read()
            told.append((answer.status, answer.getheader("Connection")))
            server.should_exit = True
            while server.servers[0].is_serving():
                time.sleep(0.01)

    server = servers._Server(config, lambda: asking.start(), lambda: None)
    asking = threading.Thread(target=client)
    with servers.listen("127.0.0.1", 0) as listener:
        started = time.monotonic()
        server.run([listener])
    asking.join()
    assert told == [(200, None), (200, "close")]
    assert time.monotonic() - started < 50, "it waited for nobody"


def test_a_second_signal_ends_it_at_once(path: Path) -> None:
    with served(path, "--port", "0") as server, half(server):
        server.process.send_signal(signal.SIGTERM)
        while not refuses(server):
            pass
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.ended() == 128 + signal.SIGTERM
        assert server.lines[1:] == ["Answering what was asked; Ctrl-C ends it at once."]


def test_being_open_to_the_network_is_said(path: Path) -> None:
    with served(path, "--port", "0", "--host", "0.0.0.0") as server:
        server.process.terminate()
        server.ended()
        assert server.lines[1] == (
            "It is open to the network and has no login: whoever reaches this address can use it."
        )


def test_a_port_in_use_is_one_line(server: Served, path: Path) -> None:
    command = [sys.executable, "-m", "stepdown", "serve", str(path), "--port", str(server.port)]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=60)
    assert found.returncode == 1
    assert found.stderr == (
        f"stepdown: Port {server.port} of 127.0.0.1 is in use. "
        "Choose another with --port, or 0 for any free one.\n"
    )


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("127.0.0.1", 65536, "There is no port 65536."),
        ("127.0.0.1", -1, "There is no port -1."),
        ("203.0.113.7", 0, "203.0.113.7 is no address of this machine."),
        ("no host", 0, "The host 'no host' is not known here."),
        ("x" * 100, 0, "is not known here."),
    ],
)
def test_a_place_that_is_none_is_told(host: str, port: int, says: str) -> None:
    with pytest.raises(InputError) as error:
        servers.listen(host, port)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_answers_are_not_held_back_by_nagles_algorithm() -> None:
    async def main() -> int:
        with servers.listen("127.0.0.1", 0) as listener:
            found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

            def met(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                sock = writer.get_extra_info("socket")
                found.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                writer.close()

            async with await asyncio.start_server(met, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await found

    assert asyncio.run(main()) != 0


def test_a_listener_is_at_the_address_that_its_url_says() -> None:
    with servers.listen("localhost", 0) as listener:
        assert servers.url(listener.getsockname()) in (
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            f"http://[::1]:{listener.getsockname()[1]}",
        )
        with pytest.raises(WorkError, match="is in use"):
            servers.listen(listener.getsockname()[0], listener.getsockname()[1])


def test_a_bundle_is_called_by_its_card() -> None:
    assert title("runs/demo/bundle", "# my\\_model \\<b\\>\n\nIt is.") == "my_model <b>"
    assert title("/home/someone/mine.stepdown", "") == "mine"
    assert title(".", "#\n# no title") == "model"


def test_a_bundle_that_is_none_is_told_and_frees_the_port() -> None:
    with servers.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    for _ in range(2):
        with pytest.raises(InputError, match="nowhere"):
            servers.serve("./nowhere", "127.0.0.1", port, servers.Limits(), say=print)


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_without_the_extra_its_line_is_told(package: str, path: Path) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nfrom stepdown.cli import main\nmain()"
    command = [sys.executable, "-c", code, "serve", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=60)
    assert found.returncode == 2
    assert found.stderr.startswith(f"stepdown: stepdown serve needs the package '{package}'")
    assert 'pip install "stepdown[serve]"' in found.stderr
    assert found.stderr.count("\n") == 1


def test_its_options_are_those_of_the_documents() -> None:
    told = (Path(__file__).parents[1] / "docs" / "serve.md").read_text(encoding="utf-8")
    for option in serve.params:
        if option.opts[0].startswith("--"):
            assert f"`{option.opts[0]}" in told
            if isinstance(option.default, int) and not isinstance(option.default, bool):
                assert f"| {option.default:,} |" in told or f"| {option.default} |" in told
