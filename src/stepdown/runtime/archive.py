"""Reads a plain zip archive, strictly: nothing but files, one after the other, and the list of them.

The format is PKWARE's APPNOTE.TXT 6.3.10. Of it, a reader needs three records, and a stranger's archive is safest with
no more: no encryption, no other compression than deflate (others allocate what a header says), no zip64, no comment, no
data that two files share. It is also loaded in a tenth of the time of the standard library's module.
"""

from __future__ import annotations

import stat
import struct
import zlib
from itertools import pairwise
from typing import BinaryIO, NamedTuple

# Signature, and what is used of: the end of the archive, a file in the list, a file in its place.
_END = struct.Struct("<4s4xHHLLH")
_LISTED = struct.Struct("<4s4xHH4xLLLHHH2x2xLL")
_PLACED = struct.Struct("<4s22xHH")
# A list of the few files of a bundle is far shorter.
_LONGEST_LIST = 1 << 16
# Flags that change nothing here: how hard it was packed, sizes behind the data, names in UTF-8.
_HARMLESS = 0b1000_0000_1110
_STORED, _DEFLATED = 0, 8


class Entry(NamedTuple):
    """A file in an archive.

    Attributes:
        name: as the list has it.
        is_link: it is a symbolic link.
        is_deflated: it is packed.
        checksum: CRC-32 of what is unpacked.
        packed, size: bytes in the archive, and after unpacking.
        place, end: where its record begins, and before where it must end.
    """

    name: str
    is_link: bool
    is_deflated: bool
    checksum: int
    packed: int
    size: int
    place: int
    end: int


def entries(file: BinaryIO) -> list[Entry]:
    """The files of an archive. Raises ValueError where it is no plain zip archive."""
    length = file.seek(0, 2)
    if length < _END.size:
        raise ValueError("it is too short")
    signature, on_disk, count, size, start, comment = _END.unpack(_part(file, length - _END.size, _END.size))
    if signature != b"PK\5\6" or on_disk != count or comment:
        raise ValueError("it does not end as one")
    if size > _LONGEST_LIST or start + size != length - _END.size:
        raise ValueError("its list of files is not where it should be")
    listed = _part(file, start, size)
    found, at = [], 0
    for _ in range(count):
        if at + _LISTED.size > size:
            raise ValueError("its list of files ends too soon")
        record = _LISTED.unpack_from(listed, at)
        signature, flags, method, checksum, packed, unpacked, name_size, extra, comment, attributes, place = (
            record
        )
        at += _LISTED.size
        name = listed[at : at + name_size].decode("ascii", "backslashreplace")
        at += name_size + extra + comment
        if signature != b"PK\1\2" or at > size:
            raise ValueError("its list of files is damaged")
        if (
            flags & ~_HARMLESS
            or method not in (_STORED, _DEFLATED)
            or (method == _STORED and packed != unpacked)
        ):
            raise ValueError(f"{name!r} is encrypted, or packed in another way than by deflate")
        is_link = stat.S_ISLNK(attributes >> 16)
        found.append(Entry(name, is_link, method == _DEFLATED, checksum, packed, unpacked, place, start))
    if at != size:
        raise ValueError("its list of files is damaged")
    found.sort(key=lambda entry: entry.place)
    return [entry._replace(end=follower.place) for entry, follower in pairwise(found)] + found[-1:]


def content(file: BinaryIO, entry: Entry) -> bytes:
    """The content of a file, at most a byte more than its size. Raises ValueError where it is not as it was packed."""
    signature, name_size, extra = _PLACED.unpack(_part(file, entry.place, _PLACED.size))
    name = _part(file, entry.place + _PLACED.size, name_size)
    start = entry.place + _PLACED.size + name_size + extra
    if signature != b"PK\3\4" or name != entry.name.encode() or start + entry.packed > entry.end:
        raise ValueError(f"{entry.name!r} is not where the list says")
    found = _part(file, start, entry.packed)
    if entry.is_deflated:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            found = unpacker.decompress(found, entry.size + 1)
        except zlib.error as error:
            raise ValueError(f"{entry.name!r} cannot be unpacked") from error
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError(f"{entry.name!r} does not end where the list says")
    if zlib.crc32(found) != entry.checksum:
        raise ValueError(f"{entry.name!r} has another checksum than the list says")
    return found


def _part(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    found = file.read(size)
    if len(found) != size:
        raise ValueError("it ends too soon")
    return found
