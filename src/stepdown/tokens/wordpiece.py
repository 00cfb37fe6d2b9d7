"""The `bert-wordpiece` tokenizer: BERT's own, in Python, id for id. docs/bundle.md specifies it.

Devlin et al. (2018) published it with BERT; the details (order of the steps, what counts as punctuation)
follow the `tokenizers` library, through which published models are used. Characters that joined Unicode after
2015 may be filed otherwise than there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown.errors import BundleError, shown
from stepdown.tasks import SEPARATOR, parts
from stepdown.tokens.flat import MOST_ENTRIES, Frame, Memo, Tokens, check_vocabulary, encode_chunks, numbered

VOCABULARY, CONFIG = "vocab.txt", "tokenizer_config.json"
UNKNOWN, START, END, PAD, MASK = "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"
SPECIAL = (UNKNOWN, START, END, PAD, MASK)
_LONGEST_WORD = 100

_CHUNK = re.compile(r"\S+")
# What Python takes for white space and BERT for control characters, as NUL is one: removed with the others.
_NO_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")
# Special ids written out in a text are special ids, also in the middle of a word.
_SPECIAL = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),  # from 2B820 in Unicode; the library begins here, and models were trained through it
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]")


@dataclass(frozen=True)
class Reading:
    """How a text is cleaned before it is split; the names of `tokenizer_config.json`.

    Attributes:
        do_lower_case: read texts in lower case.
        strip_accents: drop the accents of letters; None does as `do_lower_case`.
        tokenize_chinese_chars: every ideograph is a word.
    """

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    @property
    def strips(self) -> bool:
        """Whether accents are dropped, the default resolved."""
        return self.do_lower_case if self.strip_accents is None else self.strip_accents


class BertWordPiece:
    """BERT's tokenizer: `[CLS]`, the word pieces, `[SEP]`; of a pair the second text and `[SEP]` once more."""

    kind = "bert-wordpiece"

    def __init__(self, vocabulary: Sequence[str], reading: Reading | None = None) -> None:
        """Build it from a vocabulary.

        Args:
            vocabulary: the pieces in the order of their ids; `##` begins one that continues a word.
            reading: how texts are cleaned; as in `bert-base-uncased` where it is None.

        Raises:
            BundleError: a special piece is missing, or there are more than a million pieces.
        """
        if len(vocabulary) > MOST_ENTRIES:
            raise BundleError(
                f"{VOCABULARY} has {len(vocabulary):,} pieces, and {MOST_ENTRIES:,} at most can be. Take the "
                "file that belongs to the model."
            )
        self.vocabulary = tuple(vocabulary)
        self.reading = reading or Reading()
        # Where a piece comes twice the last id counts, as in the library.
        self._ids = numbered(self.vocabulary, 0)
        missing = [piece for piece in (UNKNOWN, START, END, PAD) if piece not in self._ids]
        if missing:
            raise BundleError(
                f"{VOCABULARY} has no {', '.join(missing)}: a BERT vocabulary holds them, one piece a line. "
                "Take the file that belongs to the model."
            )
        self.pad_id = self.vocabulary.index(PAD)
        self._unknown = self._ids[UNKNOWN]
        self._longest = max(map(len, self.vocabulary))
        self._bytes = Memo(self._encode)
        self._frame = Frame(self._ids[START], self._ids[END], between=self._ids[END])

    @property
    def vocab_size(self) -> int:
        """All ids are below it."""
        return len(self.vocabulary)

    def encode(self, texts: Sequence[str], max_length: int) -> Tokens:
        """The texts, or pairs of texts, as ids, at most `max_length` each; what is cut still ends with `[SEP]`."""
        texts = [text if text.isprintable() else _without_false_spaces(text) for text in texts]
        return encode_chunks(texts, self._bytes, _CHUNK, self._frame, max_length)

    def save(self, folder: Path) -> None:
        """Write `vocab.txt` and `tokenizer_config.json`, which transformers reads as well."""
        text = "".join(f"{piece}\n" for piece in self.vocabulary)
        (folder / VOCABULARY).write_text(text, encoding="utf-8", newline="\n")
        config = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": self.reading.do_lower_case,
            "strip_accents": self.reading.strip_accents,
            "tokenize_chinese_chars": self.reading.tokenize_chinese_chars,
        }
        names = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
        config |= dict(zip(names, SPECIAL, strict=True))
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path) -> BertWordPiece:
        """Read `vocab.txt` and, where it is there, `tokenizer_config.json` of a folder.

        Raises:
            BundleError: a file cannot be read or is not what it should be.
        """
        try:
            config = (folder / CONFIG).read_bytes() if (folder / CONFIG).exists() else b"{}"
            return cls.parse((folder / VOCABULARY).read_bytes(), config, str(folder))
        except OSError as error:
            raise BundleError(
                f"{error.filename} cannot be read: {error.strerror}. It holds the tokenizer."
            ) from error

    @classmethod
    def parse(cls, vocabulary: bytes, config: bytes = b"{}", source: str = "") -> BertWordPiece:
        """Read the content of the two files; `source` names their folder in errors.

        Raises:
            BundleError: one is not what it should be.
        """
        where = f"{source}/" if source else ""
        check_vocabulary(f"{where}{VOCABULARY}", vocabulary)
        try:
            lines = vocabulary.decode("utf-8").replace("\r\n", "\n").split("\n")
        except UnicodeDecodeError as error:
            raise BundleError(
                f"{where}{VOCABULARY} is not UTF-8: byte {error.start}. Take the model's."
            ) from error
        if lines[-1] == "":
            lines.pop()
        try:
            about = json.loads(config)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{where}{CONFIG} is not JSON: {error}. Take the model's.") from error
        if not isinstance(about, dict):
            raise BundleError(f"{where}{CONFIG} must hold a JSON object. Take the model's.")
        return cls(lines, reading(about, where))

    def spec(self) -> dict[str, Any]:
        """Kind, files and normalisation, as `bundle.json` tells them."""
        normalisation = {
            "unicode": "NFD" if self.reading.strips else None,
            "lowercase": self.reading.do_lower_case,
            "strip_accents": self.reading.strips,
        }
        return {"kind": self.kind, "files": [VOCABULARY, CONFIG], "normalisation": normalisation}

    def _encode(self, chunk: str) -> bytes:
        if "[" not in chunk:
            return b"".join(map(self._pieces, self._words(chunk)))
        found: list[bytes] = []
        for part in _SPECIAL.split(chunk):
            special = self._ids.get(part) if part in SPECIAL else None
            found += [special] if special else map(self._pieces, self._words(part))
        return b"".join(found)

    def _words(self, chunk: str) -> list[str]:
        """Cleans a chunk and splits it at punctuation and ideographs."""
        if chunk.isascii() and chunk.isprintable():
            return _ASCII_WORD.findall(chunk.lower() if self.reading.do_lower_case else chunk)
        chunk = "".join([c for c in chunk if not _dropped(c)])
        if self.reading.tokenize_chinese_chars:
            chunk = "".join([f" {c} " if _ideograph(c) else c for c in chunk])
        if self.reading.strips:
            chunk = "".join(
                [c for c in unicodedata.normalize("NFD", chunk) if unicodedata.category(c) != "Mn"]
            )
        if self.reading.do_lower_case:
            # One by one: a Greek sigma at the end of a word stays the common one, as in the library.
            chunk = "".join([c.lower() for c in chunk])
        return "".join([f" {c} " if _punctuation(c) else c for c in chunk]).split()

    def _pieces(self, word: str) -> bytes:
        """The longest piece that starts here, again and again; `[UNK]` alone where that fails."""
        whole = self._ids.get(word)
        if whole is not None and len(word) <= _LONGEST_WORD:
            return whole
        if len(word) > _LONGEST_WORD:
            return self._unknown
        start, size = 0, len(word)
        found: list[bytes] = []
        while start < size:
            prefix = "##" if start else ""
            for end in range(min(size, start + self._longest), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    found.append(piece)
                    start = end
                    break
            else:
                return self._unknown
        return b"".join(found)


def reading(config: Mapping[str, Any], where: str = "") -> Reading:
    """The cleaning that a `tokenizer_config.json` asks for; as in `bert-base-uncased` where it is silent.

    Raises:
        BundleError: a value is neither true nor false.
    """
    values: dict[str, Any] = {}
    for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
        if name not in config:
            continue
        value = config[name]
        if not isinstance(value, bool) and not (value is None and name == "strip_accents"):
            raise BundleError(f'{where}{CONFIG}: "{name}" is {shown(value)}; expected true or false.')
        values[name] = value
    return Reading(**values)


def _without_false_spaces(text: str) -> str:
    return SEPARATOR.join(_NO_SPACE.sub("\0", part) for part in parts(text))


def _dropped(character: str) -> bool:
    # U+FFFD is no control character, but the authors' code drops it with them.
    return character == "\ufffd" or unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs"}


def _ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)


def _punctuation(character: str) -> bool:
    # ASCII signs such as $ and ^ count as punctuation, though Unicode files them elsewhere.
    return ("!" <= character <= "~" and not character.isalnum()) or unicodedata.category(character)[0] == "P"
