"""How a hub takes what is sent to it: new repositories and branches, large files, and commits.

Large files take one of two ways. The client sends them to a storage of chunks if it can (`hub_xet`), and else as
git's LFS has it: it asks where to, puts each file there, and has it verified. The commit then names them by their
sha256, and holds the small files itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.hub_server import Hub, Repository

MOST_BYTES = 10_000_000  # of a small file


class Writing:
    """The part of a handler that takes."""

    hub: Hub
    path: str
    command: str
    body: bytes
    bearer: str | None

    # of the handler
    say: Any
    json: Any
    refuse: Any
    found: Any

    def stores(self, path: str) -> bool:
        """Take what goes to other hosts, which know no token of the hub; False if it does not."""
        if path.startswith(("/v1/", "/v2/")):
            self._answer(*self.hub.storage.take(self.command, path, self.body, self.bearer))
            return True
        oid = re.fullmatch("/cdn/upload/([0-9a-f]{64})", path)
        if oid is None:
            return False
        if hashlib.sha256(self.body).hexdigest() != oid[1]:
            self.refuse(400, "", "The content is another one")
            return True
        self.hub.storage.files[oid[1]] = self.body
        self.say(200, {"ETag": oid[1]})
        return True

    def writes(self, path: str) -> bool:
        """Take what goes to the hub itself; False if it does not."""
        if path == "/api/repos/create":
            self._create()
        elif path == "/api/validate-yaml":
            self._validate()
        elif asked := re.fullmatch(
            r"/api/models/([^/]+/[^/]+)/(preupload|xet-write-token|commit|branch)/(.+)", path
        ):
            repository = self._writable(asked[1])
            if repository is not None:
                getattr(self, f"_{asked[2].replace('-', '_')}")(repository, asked[3])
        elif asked := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/(objects/batch|verify)", path):
            if self._writable(asked[1]) is not None:
                self._batch(asked[1]) if asked[2] == "objects/batch" else self._verify()
        else:
            return False
        return True

    def _writable(self, name: str) -> Repository | None:
        """A repository that whoever asks may write to, else None and a refusal."""
        repository: Repository | None = self.found("models", name)
        if repository is None:
            self.refuse(404 if self.bearer else 401, "RepoNotFound", "Repository not found")
        elif not self._may_write(name):
            self.refuse(403, "", "Forbidden: you must have write access to this repository")
            return None
        return repository

    def _may_write(self, name: str) -> bool:
        return name.partition("/")[0] in self.hub.writers.get(self.bearer or "", ())

    def _create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if self.bearer is None:
            self.refuse(401, "", "Invalid username or password.")
        elif not self._may_write(name):
            self.refuse(
                403,
                "",
                f"You don't have the rights to create a model under the namespace {asked['organization']}",
            )
        elif ("models", name.lower()) in self.hub.repositories:
            self.refuse(409, "", "You already created this model repo")
        else:
            private = asked.get("visibility") == "private" or asked.get("private") is True
            readers = frozenset({self.bearer}) if private else None
            self.hub.add("models", name, {".gitattributes": b"*.onnx filter=lfs\n"}, readers=readers)
            self.json({"url": f"{self.hub.url}/{name}", "name": name})

    def _validate(self) -> None:
        """As far as the hub's rules are public: a mapping that states a licence it knows the form of."""
        content = json.loads(self.body)["content"]
        block = re.match(r"\s*---\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", content, re.DOTALL)
        try:
            found = yaml.safe_load(block[1]) if block else {}
            fault = None if isinstance(found, dict) else "metadata must be a mapping"
        except yaml.YAMLError as error:
            found, fault = {}, str(error)
        if not fault and not re.fullmatch(r"[a-z0-9.+-]+", str(found.get("license", "unknown"))):
            fault = '"license" must be one of the known ones'
        warnings = [] if block else [{"message": "empty or missing yaml metadata in repo card"}]
        if fault:
            told = json.dumps({"errors": [{"message": fault}], "warnings": warnings}).encode()
            self.say(400, {"Content-Type": "application/json"}, told)
        else:
            self.json({"errors": [], "warnings": warnings})

    def _preupload(self, repository: Repository, revision: str) -> None:
        from tests.hub_server import LARGE, git_oid

        commit = repository.at(revision)
        there = repository.commits[commit] if commit else {}

        def told(asked: dict[str, Any]) -> dict[str, Any]:
            is_large = asked["path"].endswith(LARGE) or asked["size"] > MOST_BYTES
            body = there.get(asked["path"])
            digest = None
            if body is not None:
                digest = hashlib.sha256(body).hexdigest() if is_large else git_oid(body)
            mode = "lfs" if is_large else "regular"
            return {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": digest}

        self.json({"files": [told(one) for one in json.loads(self.body)["files"]]})

    def _xet_write_token(self, repository: Repository, revision: str) -> None:
        token = self.hub.storage.token_for(repository.name)
        where = {"casUrl": self.hub.cdn.removesuffix("/cdn"), "exp": int(time.time()) + 3600}
        self.json({**where, "accessToken": token})

    def _batch(self, name: str) -> None:
        def told(asked: dict[str, Any]) -> dict[str, Any]:
            if asked["oid"] in self.hub.storage.files:
                return asked
            upload = {"href": f"{self.hub.cdn}/upload/{asked['oid']}", "header": {}}
            verify = {"href": f"{self.hub.url}/{name}.git/info/lfs/verify", "header": {}}
            return {**asked, "actions": {"upload": upload, "verify": verify}}

        self.json({"transfer": "basic", "objects": [told(one) for one in json.loads(self.body)["objects"]]})

    def _verify(self) -> None:
        asked = json.loads(self.body)
        if len(self.hub.storage.files.get(asked["oid"], b"")) == asked["size"]:
            self.json({})
        else:
            self.refuse(404, "", "No such object")

    def _branch(self, repository: Repository, name: str) -> None:
        if name in repository.branches:
            self.refuse(409, "", f"Reference already exists: {name}")
        else:
            repository.branches[name] = repository.head
            self.json({})

    def _commit(self, repository: Repository, branch: str) -> None:
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                held = self.hub.storage.files.get(value["oid"])
                if held is None:
                    self.refuse(
                        400, "", f"LFS pointer pointed to a file that does not exist: {value['path']}"
                    )
                    return
                files[value["path"]] = held
        if branch not in repository.branches:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {branch}")
        elif header.get("parentCommit", repository.branches[branch]) != repository.branches[branch]:
            self.refuse(412, "", "A commit has happened since. Please refresh and try again.")
        else:
            commit = repository.push(files, branch, header["summary"])
            url = f"{self.hub.url}{repository.path}/commit/{commit}"
            self.json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        self.say(status, {"Content-Type": "application/json"}, json.dumps(told).encode())
