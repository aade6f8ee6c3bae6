"""Members of a zip file that somebody else made, one at a time, never more of one than fits.

`.eval` files are packed with deflate or (since 0.3.206) Zstandard, which Python's `zipfile` reads from 3.14 on only.
What a member claims about its size is not believed: unpacking stops at a limit. Its checksum is believed: contents
that have another are damaged. An archive that was cut off has lost its directory, which stands at its end; its members
are then found one after another.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

MEMBER_LIMIT = 256 << 20
RATIO_LIMIT = 400
RATIO_FREE = 16 << 20
_ENTRY = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3I2H")
_DEFLATE, _ZSTD, _STORED = 8, 93, 0
_STREAMED, _ENCRYPTED, _UTF8 = 0x08, 0x01, 0x800
_CHUNK = 1 << 20
_UNKNOWN = 1 << 62  # only unpacking would tell
_LOST = -2


@dataclass(frozen=True)
class Member:
    """A packed file: its name, where its data begin, how long they are, how they are packed, and their checksum."""

    name: str
    offset: int
    size: int
    method: int
    crc: int | None = None

    @property
    def lost(self) -> bool:
        """What the archive says of it is wrong: nothing of this name is where it says."""
        return self.method == _LOST


def members(path: Path) -> tuple[list[Member], bool]:
    """All members of an archive, and whether the archive is whole.

    Raises:
        ValueError: not a zip archive.
    """
    with path.open("rb") as file:
        try:
            with ZipFile(file) as archive:
                if any(_ENTRY in info.comment + info.extra for info in archive.infolist()):
                    raise BadZipFile("an entry of the directory swallows the next")
                found = [(info, _header(file, info.header_offset)) for info in archive.infolist()]
            return [
                replace(head, name=info.filename, size=info.compress_size, crc=info.CRC)
                if head and head.name == info.orig_filename
                else Member(info.filename, 0, 0, _LOST)
                for info, head in found
            ], True
        except (BadZipFile, NotImplementedError, ValueError, struct.error):  # a damaged directory is none
            return list(_walk(file)), False


def _header(file: BinaryIO, offset: int) -> Member | None:
    """The member whose local header stands here."""
    if offset < 0:
        return None
    file.seek(offset)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, crc, size, _, name_size, extra = _LOCAL.unpack(raw)
    name = file.read(name_size).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    known = _UNKNOWN if flags & _STREAMED or size == 0xFFFFFFFF else size
    start, how = offset + _LOCAL.size + name_size + extra, -1 if flags & _ENCRYPTED else method
    return Member(name, start, known, how, None if flags & _STREAMED else crc)


def _walk(file: BinaryIO) -> Iterator[Member]:
    offset = 0
    end = file.seek(0, 2)
    while (member := _header(file, offset)) and member.offset + member.size <= end:
        yield member
        offset = member.offset + member.size


def unpack(path: Path, member: Member, limit: int = MEMBER_LIMIT) -> bytes:
    """The contents of a member.

    Raises:
        ValueError: it is packed in an unknown way or damaged, or it unpacks to more than `limit` bytes, or to more
            than `RATIO_LIMIT` times its size: a bomb.
    """
    with path.open("rb") as file:
        file.seek(member.offset)
        packed = file.read(min(member.size, limit + 1))
    allowed = min(limit, max(RATIO_FREE, RATIO_LIMIT * len(packed)))
    if member.method == _STORED:
        data = packed
    elif member.method == _DEFLATE:
        data = _inflate(packed, allowed)
    elif member.method == _ZSTD:
        data = _unpack_zstd(packed, allowed)
    else:
        why = {_LOST: "damaged: it is not where the archive says", -1: "encrypted"}
        raise ValueError(why.get(member.method, f"packed with unknown method {member.method}"))
    if len(data) > allowed:
        raise ValueError(f"unpacks to more than {allowed >> 20} MiB from {len(packed):,} bytes; not read")
    if member.crc is not None and zlib.crc32(data) != member.crc:
        raise ValueError("damaged: its contents do not have its checksum; not read")
    return data


def _inflate(packed: bytes, allowed: int) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return unpacker.decompress(packed, allowed + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from None


def _unpack_zstd(packed: bytes, allowed: int) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped]

    parts, total = [], 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            while total <= allowed and (part := stream.read(_CHUNK)):
                parts.append(part)
                total += len(part)
    except OSError as error:
        raise ValueError(f"damaged: {str(error)[:80]}") from None
    return b"".join(parts)
