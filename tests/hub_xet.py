"""The storage of chunks that the hub's client sends large files to: the Xet protocol, as far as sending goes.

Specified at https://huggingface.co/docs/xet. A file is cut into chunks; these come packed into `xorbs`; and a `shard`
says of which chunks of which xorbs each file is made, and what its sha256 is. Files are put together here, and one that
has another sha256 than its shard says is refused.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import struct
from collections.abc import Iterator
from typing import Any

_ENTRY = 48  # bytes: every record of a shard has this size
_NO_MORE = b"\xff" * 32
_VERIFIED, _DESCRIBED = 1 << 31, 1 << 30


class Storage:
    """What is kept.

    Attributes:
        files: sha256 → content.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._xorbs: dict[str, list[bytes]] = {}
        self._tokens: set[str] = set()

    def token_for(self, repository: str) -> str:
        """A token for sending, which is not the hub's."""
        token = f"xet_{secrets.token_hex(8)}"
        self._tokens.add(token)
        return token

    def take(self, method: str, path: str, body: bytes, token: str | None) -> tuple[int, dict[str, Any]]:
        """The status of an answer, and what it says."""
        if token not in self._tokens:
            return 401, {"error": "Unauthorized"}
        if method == "POST" and (xorb := re.fullmatch("/v1/xorbs/default/([0-9a-f]{64})", path)):
            self._xorbs[xorb[1]] = list(_chunks(body))
            return 200, {"was_inserted": True}
        if method == "POST" and path == "/v1/shards":
            for sha256, content in self._files_of(body):
                if hashlib.sha256(content).hexdigest() != sha256:
                    return 400, {"error": "a file has another sha256 than its shard says"}
                self.files[sha256] = content
            return 200, {"result": 1}
        # Chunks that others sent before, ways past this server, and later versions of it: there are none.
        return 404, {"error": "Not found"}

    def _files_of(self, shard: bytes) -> Iterator[tuple[str, bytes]]:
        """sha256 and content of the files of a shard."""
        at = _ENTRY  # behind the header
        while shard[at : at + 32] != _NO_MORE:
            flags, count = struct.unpack_from("<II", shard, at + 32)
            at += _ENTRY
            content = b""
            for segment in range(count):
                where = at + segment * _ENTRY
                _, size, first, last = struct.unpack_from("<IIII", shard, where + 32)
                piece = b"".join(self._xorbs[_hash(shard[where : where + 32])][first:last])
                assert len(piece) == size
                content += piece
            at += count * _ENTRY * (2 if flags & _VERIFIED else 1)
            assert flags & _DESCRIBED, "the client states each file's sha256"
            yield _hash(shard[at : at + 32]), content
            at += _ENTRY


def _hash(words: bytes) -> str:
    """A digest as it is written: four numbers of 64 bits."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", words))


def _chunks(xorb: bytes) -> Iterator[bytes]:
    """The chunks of a xorb, which tests ask the client not to compress."""
    at = 0
    while at < len(xorb):
        packed, way, whole = xorb[at + 1 : at + 4], xorb[at + 4], xorb[at + 5 : at + 8]
        size = int.from_bytes(packed, "little")
        assert way == 0, "HF_XET_XORB_COMPRESSION_POLICY=none was not heeded"
        assert size == int.from_bytes(whole, "little")
        yield xorb[at + 8 : at + 8 + size]
        at += 8 + size
