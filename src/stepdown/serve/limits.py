"""How much may be asked for: what bounds the memory and the time that a stranger's request can take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a server answers at most; beyond, it says so.

    Attributes:
        texts: of one request, or pairs.
        characters: of one text, or of each of a pair.
        body: bytes of one request's body; by default more than a text of that length can take in JSON.
        queue: texts, or pairs, that wait for an answer, of all requests together.
    """

    texts: int = 1000
    characters: int = 100_000
    body: int = 2 * 2**20
    queue: int = 10_000
