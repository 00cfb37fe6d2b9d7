"""The `words` tokenizer: whole words first, then pieces of the same list. docs/bundle.md specifies it."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from stepdown.errors import BundleError, InputError, shown
from stepdown.tokens.flat import (
    MOST_ENTRIES,
    SHORT_TEXT,
    Frame,
    Memo,
    Tokens,
    check_vocabulary,
    chunks,
    encode_chunks,
    numbered,
    pack,
)

FILE = "words.json"
PAD, UNKNOWN, BETWEEN = 0, 1, 2
_UNKNOWN = pack([UNKNOWN])
# Versions of the file: the second says whether it reads pairs, and a reader that knows only the first refuses it.
_SINGLE, _MAY_BE_PAIRS = 1, 2

# What is read by itself: a run without white space, in parts of 1,000 characters should it be longer.
_CHUNK = re.compile(r"\S{1,1000}")

# Typographic signs and the plain ones that stand for them.
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
    | dict.fromkeys("\u2014\u2015", "--")
)
# How treebank-style text writes brackets, quotes and slashes.
_TREEBANK = re.compile(r"-([lr][rsc])b-|''|\\([/*])", re.IGNORECASE)
_BRACKETS = {"lr": "(", "rr": ")", "ls": "[", "rs": "]", "lc": "{", "rc": "}"}

# The split sees the kind of a non-ASCII character, not the character: see `_kinds`.
_LETTER, _IDEOGRAPH = "\x02", "\x01"
_IDEOGRAPHS = (("\u3400", "\u4dbf"), ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"))
_W = "[a-z0-9\x02]"
_WORD = re.compile(
    rf"""
      n't(?!{_W})                      # do n't, where the verb is cut off already
    | can(?=not(?!{_W}))               # cannot, which treebanks write as two words
    | '(?:s|m|d|re|ve|ll)(?!{_W})      # it's, I'm, he'd, you're, we've, she'll
    | {_W}+(?!{_W}|'t(?!{_W}))         # letters, digits and the marks on them
    | {_W}+(?=n't(?!{_W}))             # the verb of don't
    | {_W}+                            # what is left: the a of a't
    | \x01                             # an ideograph
    | ([^\sa-z0-9\x01\x02])\1*         # any other sign, with its repeats: ... or !!! or --
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_CANNOT = "cannot"  # the one word of letters that is read as two
# ASCII signs that are read as they stand.
_SIGNS = string.punctuation.replace("`", "")
# A sign repeated more often means what it means three times.
_MOST_REPEATS = 3
LONGEST_ENTRY = 100
"""Characters of an entry: what it takes to spell a word goes by that of the longest."""


def reserved_ids(pairs: bool) -> int:
    """How many ids stand before those of the entries: padding, the unknown word, and what separates pairs."""
    return 3 if pairs else 2


class Words:
    """Words and word pieces of one list, longest match first.

    Ids are 0 for padding, 1 for what no entry can spell, 2 for what stands between the texts of a pair if pairs are
    read, and the next onwards for the entries in order. Ordinary and treebank-style text ("don't", "do n't") give the
    same words.
    """

    kind = "words"
    pad_id = PAD
    unknown_id = UNKNOWN

    def __init__(self, entries: Sequence[str], lowercase: bool = True, pairs: bool = False) -> None:
        """Build it from a list.

        Args:
            entries: words and pieces, each once, in the order of their ids.
            lowercase: read texts in lower case; entries should then be so too.
            pairs: an id is reserved for what stands between two texts; without it pairs are read as one text.

        Raises:
            InputError: an entry is empty, longer than 100 characters, comes twice, or cannot be written as UTF-8; or
                there are more than a million.
        """
        _check_size(entries)
        self.entries = tuple(entries)
        self.lowercase = lowercase
        self.pairs = pairs
        self._ids = numbered(self.entries, self.first_id)
        _check(self.entries, self._ids, self.first_id)
        self._frame = Frame(empty=_UNKNOWN, between=pack([BETWEEN]) if pairs else b"")
        self._longest = max(map(len, self.entries), default=0)
        self._words = Memo(self._split)
        self._bytes = Memo(self._encode)

    @property
    def first_id(self) -> int:
        """The id of the first entry; those below it are reserved."""
        return reserved_ids(self.pairs)

    @property
    def vocab_size(self) -> int:
        """All ids are below it: the entries and the reserved ids."""
        return len(self.entries) + self.first_id

    @cached_property
    def _starts(self) -> frozenset[str]:
        """Characters that an entry begins with: at any other there is nothing to try, and scripts are full of them."""
        return frozenset(entry[0] for entry in self.entries)

    def words(self, text: str) -> list[str]:
        """The words of a text, or of both texts of a pair, normalised, whether or not they are entries."""
        found = text.split() if len(text) <= SHORT_TEXT else chunks(text, _CHUNK)
        return list(chain.from_iterable(map(self._words.__getitem__, found)))

    def encode(self, texts: Sequence[str], max_length: int) -> Tokens:
        """The texts, or pairs, as ids, at most `max_length` each; a text without any word is one unknown id."""
        if self.lowercase:  # of ASCII the same before the split as after it, and fewer chunks to remember
            texts = [text.lower() if text.isascii() else text for text in texts]
        return encode_chunks(texts, self._bytes, _CHUNK, self._frame, max_length)

    def save(self, folder: Path) -> None:
        """Write `words.json` into an existing folder."""
        (folder / FILE).write_bytes(self.dump())

    def dump(self) -> bytes:
        """The content of `words.json`, as `parse` reads it."""
        about: dict[str, Any] = {"kind": self.kind, "version": _SINGLE, "lowercase": self.lowercase}
        if self.pairs:
            about |= {"version": _MAY_BE_PAIRS, "pairs": True}
        about["entries"] = list(self.entries)
        return (json.dumps(about, ensure_ascii=False, separators=(",", ":")) + "\n").encode()

    @classmethod
    def load(cls, folder: Path) -> Words:
        """Read the `words.json` of a folder.

        Raises:
            BundleError: the file is not there or is no such file.
        """
        try:
            return cls.parse((folder / FILE).read_bytes(), str(folder / FILE))
        except OSError as error:
            raise BundleError(
                f"{folder / FILE} cannot be read: {error.strerror}. It holds the tokenizer."
            ) from error

    @classmethod
    def parse(cls, content: bytes, source: str = FILE) -> Words:
        """Read the content of a `words.json`; `source` names it in errors.

        Raises:
            BundleError: it is no such file.
        """
        check_vocabulary(source, content)
        try:
            about = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{source} is not JSON: {error}. Export the bundle again.") from error
        known = isinstance(about, dict) and about.get("kind") == cls.kind
        if not known or about.get("version") not in (_SINGLE, _MAY_BE_PAIRS):
            raise BundleError(
                f'{source} is no words tokenizer that is known here: expected kind "words", version 1 or 2. '
                "A newer stepdown may read it."
            )
        entries, lowercase = about.get("entries"), about.get("lowercase")
        if not isinstance(lowercase, bool) or not isinstance(entries, list):
            raise BundleError(f'{source}: expected "lowercase" true or false and "entries" a list of words.')
        pairs = about.get("pairs") if about["version"] == _MAY_BE_PAIRS else False
        if not isinstance(pairs, bool):
            raise BundleError(f'{source}: version 2 expects "pairs" true or false. Export the bundle again.')
        if not all(isinstance(entry, str) for entry in entries):
            raise BundleError(f"{source}: every entry must be a string. Export the bundle again.")
        try:
            return cls(entries, lowercase, pairs)
        except InputError as error:
            raise BundleError(f"{source}: {error}") from error

    def spec(self) -> dict[str, Any]:
        """Kind, files and normalisation, as `bundle.json` tells them."""
        normalisation = {"unicode": "NFKC", "lowercase": self.lowercase, "strip_accents": False}
        return {"kind": self.kind, "files": [FILE], "normalisation": normalisation}

    def _encode(self, chunk: str) -> bytes:
        text = chunk.lower() if self.lowercase else chunk
        # Most chunks are an entry, alone or with one sign behind it: found in a third of the time that it takes below.
        known = self._whole(text)
        if known is not None:
            return known
        known, sign = self._whole(text[:-1]), text[-1]
        if known is not None and sign in _SIGNS:
            return known + self._ids.get(sign, _UNKNOWN)
        row = b""
        for word in self._split(chunk):  # mostly one or two: sooner than a list and a join
            row += self._ids.get(word) or self._spell(word)
        return row

    def _whole(self, word: str) -> bytes | None:
        """The id of an entry that reads as itself between white space and signs; None for all others."""
        known = self._ids.get(word)
        plain = known is not None and word.isalnum() and word.isascii() and word.lower() != _CANNOT
        return known if plain else None

    def _spell(self, word: str) -> bytes:
        """The longest entry that starts here, again and again; one unknown id for a run that none starts."""
        row, known = b"", True
        while word:
            piece = word[: self._longest] if word[0] in self._starts else ""
            while piece and piece not in self._ids:
                piece = piece[:-1]
            if piece:
                row += self._ids[piece]
            elif known:
                row += _UNKNOWN
            known = bool(piece)
            word = word[len(piece) or 1 :]
        return row

    def _split(self, chunk: str) -> tuple[str, ...]:
        """The words of a chunk without white space (or of one part of it)."""
        if chunk.isascii() and (plain := self._plain(chunk.lower() if self.lowercase else chunk)):
            return plain
        text = _normalise(chunk)
        if self.lowercase:
            text = text.lower()
        kinds = text if text.isascii() else _kinds(text)
        found = []
        for match in _WORD.finditer(kinds):
            start, end = match.span()
            if match.group(1) is not None:
                end = min(end, start + _MOST_REPEATS)
            found.append(text[start:end])
        return tuple(found)

    def _plain(self, chunk: str) -> tuple[str, ...]:
        """The words of the commonest ASCII chunks, as normalisation and the pattern find them, sooner; () for others.

        These are a word, a word with 's, and two words with a hyphen between, with or without signs around them.
        """
        core = chunk.strip(_SIGNS)
        hyphens = 0
        if core.isalnum():
            found: tuple[str, ...] = (core,)
        elif core[:-2].isalnum() and core[-2:].lower() == "'s":
            found = (core[:-2], core[-2:])
        elif core.count("-") == 1 and core.replace("-", "").isalnum():
            found, hyphens = core.partition("-"), 1
        else:
            return ()
        if _CANNOT in core.lower():
            return ()
        if len(core) < len(chunk):
            at = chunk.index(core)
            before, behind = chunk[:at], chunk[at + len(core) :]
            # 'll is a word where it comes first, and -lrb- a bracket.
            if before[-1:] == "'" or hyphens + (before[-1:] == "-") + (behind[:1] == "-") > 1:
                return ()
            if before:
                found = self._words[before] + found
            if behind:
                found += self._words[behind]
        return found


def _normalise(chunk: str) -> str:
    if not (chunk.isascii() and chunk.isprintable()):
        chunk = unicodedata.normalize("NFKC", chunk.translate(_PLAIN))
        chunk = "".join(map(_kept, chunk))
    elif "`" in chunk:
        chunk = chunk.replace("`", "'")
    return _TREEBANK.sub(_plain_treebank, chunk)


def _plain_treebank(match: re.Match[str]) -> str:
    bracket, escaped = match.groups()
    if bracket:
        return _BRACKETS[bracket.lower()]
    return escaped or '"'


def _kept(character: str) -> str:
    """The character; nothing for invisible ones; U+FFFD for half of a surrogate pair."""
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    # U+FE00 to U+FE0F choose between a black-and-white and a coloured form of the sign before them.
    return "" if category in {"Cc", "Cf"} or "\ufe00" <= character <= "\ufe0f" else character


def _kinds(text: str) -> str:
    """The text with every non-ASCII letter, mark or digit as U+0002 and every ideograph as U+0001.

    Of the same length, so that what is found in it can be cut from the text. It keeps the pattern
    free of tables of Unicode, and so the same in every language that has a pattern matcher.
    """
    return "".join(c if c.isascii() else _kind(c) for c in text)


def _kind(character: str) -> str:
    if any(first <= character <= last for first, last in _IDEOGRAPHS):
        return _IDEOGRAPH
    return _LETTER if unicodedata.category(character)[0] in "LMN" else character


def _check_size(entries: Sequence[str]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise InputError(f"A vocabulary has {len(entries):,} entries, and {MOST_ENTRIES:,} at most can be.")
    if len(long := max(entries, key=len, default="")) > LONGEST_ENTRY:
        raise InputError(
            f"A vocabulary has an entry of {len(long):,} characters, {shown(long)}; {LONGEST_ENTRY} at most can be."
        )


def _check(entries: tuple[str, ...], ids: dict[str, bytes], first_id: int) -> None:
    if "" in ids:
        raise InputError("A vocabulary has an empty entry. Leave it out: every entry must match something.")
    if len(ids) != len(entries):
        twice = next(entry for number, entry in enumerate(entries, first_id) if ids[entry] != pack([number]))
        raise InputError(f"A vocabulary has {twice!r} twice. Every entry has one id: keep the first.")
    try:
        "".join(entries).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"A vocabulary has an entry that is not valid Unicode text: {error.reason}."
        ) from error
