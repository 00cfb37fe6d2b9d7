"""A hub on this machine: the protocol of the Hugging Face hub, as far as its client libraries speak it.

What is taken from the hub's public behaviour: `/api/models` and `/api/datasets` with revisions and trees; files under
`resolve`, large ones as a redirect to another host, which gets no token; commits; names that differ in letter case
redirected; and its refusals, 401 (nobody is logged in, or the token is wrong), 403 (gated) and 404, told by
`X-Error-Code` and `X-Error-Message`. How it takes what is sent is in `hub_writing`.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub_writing import Writing
from tests.hub_xet import Storage

Kind = Literal["models", "datasets"]
Files = dict[str, bytes]

# What the hub's repositories keep outside git, by their .gitattributes.
LARGE = (".bin", ".safetensors", ".parquet", ".h5", ".msgpack", ".onnx")


@dataclass
class Repository:
    """A repository: its commits, oldest first, and who may read it.

    Attributes:
        branches: name → commit.
        messages: commit → what was said of it.
        readers: tokens that may read it; None for everybody.
        gated: its files, not its description, are for readers alone, and everybody may know that it is there.
    """

    kind: Kind
    name: str
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    readers: frozenset[str] | None = None
    gated: bool = False

    @property
    def head(self) -> str:
        """The commit of the main branch."""
        return self.branches["main"]

    def push(self, files: Mapping[str, bytes], branch: str = "main", message: str = "") -> str:
        """A new commit with these files in the place of, or beside, those of the last one."""
        last = self.commits[self.branches[branch]] if branch in self.branches else {}
        whole = {**last, **files}
        named = "".join(f"{name} {git_oid(body)}\n" for name, body in sorted(whole.items()))
        commit = hashlib.sha1(f"{self.name} {len(self.commits)}\n{named}".encode()).hexdigest()
        self.commits[commit] = whole
        self.branches[branch] = commit
        self.messages[commit] = message
        return commit

    def at(self, revision: str) -> str | None:
        """The commit that a branch or a commit names."""
        return self.branches.get(revision, revision if revision in self.commits else None)

    @property
    def path(self) -> str:
        """Where its files are, below the hub's address."""
        return f"/datasets/{self.name}" if self.kind == "datasets" else f"/{self.name}"


@dataclass
class Request:
    """A request that came, as far as tests look at it."""

    method: str
    path: str
    host: str
    token: str | None
    range: str | None
    body: bytes = b""


@dataclass
class Fault:
    """What goes wrong with some requests.

    Attributes:
        matches: a regular expression of method and path, `GET /cdn/…`.
        times: of how many requests, from the first on.
        act: answers in the place of the hub: given the handler and the body that there would be.
    """

    matches: str
    times: int
    act: Callable[[Any, bytes], None]


class Hub:
    """A running hub."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[Kind, str], Repository] = {}
        self.tokens: set[str] = set()
        # Token → the owners in whose name it may write; one that is not in here may read.
        self.writers: dict[str, set[str]] = {}
        self.storage = Storage()
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        # Another host, as far as a client can tell.
        self.cdn = f"http://localhost:{self._http.server_port}/cdn"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def add(self, kind: Kind, name: str, files: Mapping[str, bytes], **about: Any) -> Repository:
        """A new repository with one commit."""
        made = Repository(kind, name, **about)
        made.push(files)
        self.repositories[kind, name.lower()] = made
        self.tokens |= made.readers or set()
        return made

    def asked(self, pattern: str) -> int:
        """How many requests there were whose method and path match."""
        return sum(bool(re.search(pattern, f"{one.method} {one.path}")) for one in list(self.requests))

    @staticmethod
    def large(repository: Repository, name: str) -> str:
        """The path under which another host delivers a large file."""
        return f"/cdn/{hashlib.sha256(repository.commits[repository.head][name]).hexdigest()}"

    # --- what goes wrong

    def fail(self, matches: str, status: int, times: int = 10**9, **headers: str) -> None:
        """Answer with a status."""

        def act(handler: _Handler, body: bytes) -> None:
            handler.say(status, {"X-Error-Message": "Something is wrong", **headers})

        self.faults.append(Fault(matches, times, act))

    def cut(self, matches: str, share: float = 0.5, times: int = 10**9) -> None:
        """Close the connection after a share of what was announced."""

        def act(handler: _Handler, body: bytes) -> None:
            handler.begin(body, share)
            handler.close_connection = True

        self.faults.append(Fault(matches, times, act))

    def reset(self, matches: str, share: float = 0.5, times: int = 10**9) -> None:
        """Reset the connection after a share of what was announced."""

        def act(handler: _Handler, body: bytes) -> None:
            handler.begin(body, share)
            # Without lingering the system resets where it would close.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()

        self.faults.append(Fault(matches, times, act))

    def lose(self, matches: str, times: int = 10**9) -> None:
        """Do what is asked, and hang up without an answer."""

        def act(handler: _Handler, body: bytes) -> None:
            line, handler.wfile = handler.wfile, io.BytesIO()  # type: ignore[assignment]
            handler.answer()
            handler.wfile = line
            handler.close_connection = True

        self.faults.append(Fault(matches, times, act))

    def stall(self, matches: str, share: float = 0.5, times: int = 10**9) -> None:
        """Send a share of what was announced, and then nothing more."""

        def act(handler: _Handler, body: bytes) -> None:
            handler.begin(body, share)
            self.closing.wait(60)

        self.faults.append(Fault(matches, times, act))

    def fault_of(self, method: str, path: str) -> Fault | None:
        """The fault that a request meets, which is one fewer to come."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.matches, f"{method} {path}"):
                    fault.times -= 1
                    return fault
        return None

    def close(self) -> None:
        """Be gone; a second time is as good as one."""
        if self.closing.is_set():
            return
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._http.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def hang_up(self) -> None:
        """Close what clients keep open: it would be answered on, though nobody listens any more."""
        for connection in self._connections:
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: Any) -> None:  # a client that hangs up is no news here
        pass


class _Handler(Writing, BaseHTTPRequestHandler):
    """Answers one connection."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(urlsplit(self.path).path)
        host = self.headers.get("Host", "").partition(":")[0]
        self.bearer = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        about = Request(self.command, path, host, self.bearer, self.headers.get("Range"), self.body)
        self.hub.requests.append(about)
        fault = self.hub.fault_of(self.command, path)
        if fault is not None:
            fault.act(self, self._large(path) or b"x" * 1000)
        else:
            self.answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.stores(path):
            return
        if path.startswith("/cdn/"):
            self._deliver(self._large(path))
        elif self.bearer is not None and self.bearer not in self.hub.tokens:
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif not (self.writes(path) or self._in_repository(path, self.bearer)):
            self.refuse(404, "", "Not found")

    def _in_repository(self, path: str, bearer: str | None) -> bool:
        """Answer a request for something in a repository; False if the path is of no such form."""
        asks = re.fullmatch(
            r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/(.+))?", path
        )
        gets = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if asks is None and gets is None:
            return False
        kind: Kind = "models"
        if asks is not None:
            kind, name = asks[1], asks[2]  # type: ignore[assignment]  # the expression has no other
        else:
            assert gets is not None
            kind, name = "datasets" if gets[1] else "models", gets[2]
        found = self.found(kind, name)
        if found is None:
            # The hub does not tell strangers whether there is a private repository.
            self.refuse(404 if bearer else 401, "RepoNotFound", "Repository not found")
        elif name != found.name:
            self.say(307, {"Location": self.path.replace(name, found.name)})
        elif asks is not None:
            self._describe(found, asks[3] or "revision", asks[4] or "main")
        else:
            assert gets is not None
            self._resolve(found, gets[3], gets[4], bearer)
        return True

    def found(self, kind: Kind, name: str) -> Repository | None:
        """A repository, if whoever asks may know of it."""
        found = self.hub.repositories.get((kind, name.lower()))
        hidden = found and found.readers is not None and not found.gated and self.bearer not in found.readers
        return None if hidden else found

    def _describe(self, found: Repository, what: str, rest: str) -> None:
        revision, _, folder = rest.partition("/")
        commit = found.at(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        files = found.commits[commit]
        if what == "revision":
            siblings = [{"rfilename": name, **_entry(name, body)} for name, body in files.items()]
            about = {"id": found.name, "sha": commit, "private": found.readers is not None}
            self.json({**about, "siblings": siblings, "tags": [], "downloads": 0})
        elif what == "paths-info":
            form = self.body.decode()
            asked = parse_qs(form).get("paths", []) if form[:1] != "{" else json.loads(form)["paths"]
            self.json([_entry(name, files[name]) for name in asked if name in files])
        else:
            recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() == "true"
            listed = _tree(files, folder, recursive=recursive)
            if listed or not folder:
                self.json(listed)
            else:
                self.refuse(404, "EntryNotFound", f"{folder} does not exist on {revision}")

    def _resolve(self, found: Repository, revision: str, name: str, bearer: str | None) -> None:
        commit = found.at(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif found.gated and bearer not in (found.readers or ()):
            self.refuse(403 if bearer else 401, "GatedRepo", f"Access to {found.name} is restricted")
        elif name not in found.commits[commit]:
            self.refuse(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": commit})
        else:
            body = found.commits[commit][name]
            headers = {"X-Repo-Commit": commit}
            if name.endswith(LARGE):
                digest = hashlib.sha256(body).hexdigest()
                linked = {"X-Linked-Size": str(len(body)), "X-Linked-ETag": f'"{digest}"'}
                self.say(302, {**headers, **linked, "Location": f"{self.hub.cdn}/{digest}"})
            else:
                self._deliver(body, {**headers, "ETag": f'"{git_oid(body)}"'})

    def _large(self, path: str) -> bytes | None:
        """The large file that another host delivers under this path."""
        for found in self.hub.repositories.values():
            for files in found.commits.values():
                for body in files.values():
                    if path == f"/cdn/{hashlib.sha256(body).hexdigest()}":
                        return body
        return None

    def _deliver(self, body: bytes | None, headers: Mapping[str, str] = {}) -> None:
        if body is None:
            self.refuse(404, "", "Not found")
            return
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part is None:
            self.say(200, headers, body)
            return
        first, last = int(part[1]), int(part[2] or len(body) - 1)
        said = {**headers, "Content-Range": f"bytes {first}-{last}/{len(body)}"}
        self.say(206, said, body[first : last + 1])

    # --- ways to answer

    def say(self, status: int, headers: Mapping[str, str] = {}, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: Any) -> None:
        self.say(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def refuse(self, status: int, code: str, message: str, **headers: str) -> None:
        told = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}
        body = json.dumps({"error": message}).encode()
        self.say(status, {"Content-Type": "application/json", **told}, body)

    def begin(self, body: bytes, share: float) -> None:
        """Announce a body, from where it was asked for, and send a share of it."""
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        rest = body[int(part[1]) :] if part else body
        self.send_response(206 if part else 200)
        if part:
            self.send_header("Content-Range", f"bytes {part[1]}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(rest[: int(len(rest) * share)])
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


def git_oid(body: bytes) -> str:
    """What git calls a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _entry(name: str, body: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "file",
        "path": name,
        "size": len(body),
        "oid": git_oid(body),
        "blobId": git_oid(body),
    }
    if name.endswith(LARGE):
        digest = hashlib.sha256(body).hexdigest()
        entry["lfs"] = {"oid": digest, "sha256": digest, "size": len(body), "pointerSize": 134}
    return entry


def _tree(files: Files, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders below a folder."""
    top = f"{folder}/" if folder else ""
    inside = {name: body for name, body in files.items() if name.startswith(top)}
    folders = {
        "/".join(parts[:depth])
        for name in inside
        for parts in [name.split("/")]
        for depth in range(1, len(parts))
    }
    depth = top.count("/")
    listed: list[dict[str, Any]] = [
        {"type": "directory", "path": name, "size": 0, "oid": hashlib.sha1(name.encode()).hexdigest()}
        for name in sorted(folders)
        if name.startswith(top) and (recursive or name.count("/") == depth)
    ]
    return listed + [
        _entry(name, body) for name, body in inside.items() if recursive or name.count("/") == depth
    ]
