"""CacheEntry <-> bytes: versioned, checked, no pickle.

Layout: schema and flags, a checksum over all the rest, the header, then the payload (msgpack, zstd above a size). The
header comes first, so that a sweep reads it with GETRANGE, and ends with whose the answer is and what it depends on,
where there is anything to say: flags tell. An entry repeats its own digest, namespace and scope: a crossed reply or
another tenant's value is found out whatever the client library does.
"""

from __future__ import annotations

import math
import struct
import threading
import zlib
from typing import Any

import msgspec
import zstandard

from ..errors import DecodeError
from ..keys import USER_BYTES
from ..models import CacheEntry, EntryHeader

SCHEMA = 2
COMPRESS_FROM_BYTES = 2048
"""Payloads from this size on are compressed. At 1.7 KB it would halve the bytes for an eighth of a hit's time."""
MAX_PAYLOAD_BYTES = 64_000_000
HEADER_BYTES = 512
"""As much of a value as holds the whole header, but for long tags and absurdly long model names."""

_COMPRESSED, _ALIAS, _TAGGED, _OWNED = 1, 2, 4, 8
_NAMED = _TAGGED | _OWNED
_FIXED = struct.Struct(">BBI16sQ32s32sddIIdfIBH")
STAMP_OFFSET = 6
STAMP_BYTES = 24
"""Where incarnation and sequence stand in a value: what compare-and-delete compares."""
CREATED_OFFSET = 94
"""Where the creation time stands: eight bytes, a double, most significant byte first."""
LENGTHS_OFFSET = 134
"""Where the lengths of namespace and model stand, and then both names."""
_LENGTHS = struct.Struct(">BH")
_TAGS_LENGTH = struct.Struct(">H")
_CHECKED_FROM = 6

_encode = msgspec.msgpack.Encoder().encode
_threads = threading.local()


class EntrySummary(msgspec.Struct, frozen=True, gc=False):
    """The fields of an entry or alias that criteria are compared with. A sweep reads a great many.

    The prompt is empty where it was not asked for.
    """

    digest: bytes
    model: str
    incarnation: bytes
    sequence: int
    created_at: float
    target: bytes | None
    tags: tuple[str, ...] = ()
    users: tuple[bytes, ...] = ()
    prompt: str = ""


class _Words(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The payload's beginning: what follows is passed over unread."""

    prompt: str


class _Payload(msgspec.Struct, array_like=True, frozen=True):
    prompt: str
    ttl_class: str
    body: dict[str, Any] | None
    chunks: list[dict[str, Any]] | None
    parts: bytes


class _Corrected(_Payload, array_like=True, frozen=True):
    """The payload of an entry that was corrected. Of others nothing is said of it: they are read alike."""

    versions: bytes = b""


class _Conversing(_Corrected, array_like=True, frozen=True):
    """The payload of an answer in a conversation, or of an alias of one."""

    family: bytes = b""
    history: bytes = b""


_decode = msgspec.msgpack.Decoder(_Conversing).decode
_decode_words = msgspec.msgpack.Decoder(_Words).decode
_decode_tags = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_SUMMARY = struct.Struct(">BB4x16sQ32s32xd32xBH")


def encode_entry(entry: CacheEntry) -> bytes:
    """The stored form of an entry.

    Raises DecodeError for values that cannot be stored (a lone surrogate, NaN names).
    """
    header = entry.header
    try:
        payload = _encode(_payload(entry))
        namespace = header.namespace.encode()
        model = header.model.encode()
        users = b"".join((bytes([len(header.users)]), *header.users)) if header.users else b""
        tags = _encode_tags(entry.tags) if entry.tags else b""
    except (TypeError, ValueError, RecursionError, OverflowError, struct.error) as error:
        raise DecodeError("the entry cannot be encoded") from error
    flags = 0
    if len(payload) >= COMPRESS_FROM_BYTES:
        payload = _compressor().compress(payload)
        flags |= _COMPRESSED
    target = b""
    if header.target is not None:
        flags |= _ALIAS
        target = header.target
    if users:
        flags |= _OWNED
    if tags:
        flags |= _TAGGED
    fixed = _FIXED.pack(
        SCHEMA,
        flags,
        0,
        header.incarnation,
        header.sequence,
        header.digest,
        header.scope,
        header.created_at,
        header.fresh_until,
        min(header.input_tokens, 0xFFFFFFFF),
        min(header.output_tokens, 0xFFFFFFFF),
        math.nan if header.cost_usd is None else header.cost_usd,
        header.latency_ms,
        len(payload),
        len(namespace),
        len(model),
    )
    checked = b"".join((fixed[_CHECKED_FROM:], namespace, model, target, users, tags, payload))
    return fixed[:2] + zlib.crc32(checked, flags).to_bytes(4, "big") + checked


def decode_entry(value: bytes) -> CacheEntry:
    """The entry in stored bytes, with its checksum verified.

    Raises DecodeError for anything else, and no other exception.
    """
    try:
        header, flags, tags, start, length = _unpack(value)
        if len(value) != start + length:
            raise DecodeError("truncated")
        if zlib.crc32(memoryview(value)[_CHECKED_FROM:], flags) != int.from_bytes(value[2:6], "big"):
            raise DecodeError("checksum")
        payload = value[start:]
        content = _decode(_decompressed(payload) if flags & _COMPRESSED else payload)
    except (struct.error, ValueError, IndexError, zstandard.ZstdError, msgspec.MsgspecError, RecursionError) as error:
        raise DecodeError("not an entry") from error
    return CacheEntry(
        header=header,
        prompt=content.prompt,
        tags=tags,
        ttl_class=content.ttl_class,
        body=content.body,
        chunks=content.chunks,
        parts=content.parts,
        versions=content.versions,
        family=content.family,
        history=content.history,
    )


def _payload(entry: CacheEntry) -> _Payload:
    """What is stored of an entry: no more than it has."""
    prompt, kind, body, chunks, parts = entry.prompt, entry.ttl_class, entry.body, entry.chunks, entry.parts
    if entry.family:
        return _Conversing(prompt, kind, body, chunks, parts, entry.versions, entry.family, entry.history)
    if entry.versions:
        return _Corrected(prompt, kind, body, chunks, parts, entry.versions)
    return _Payload(prompt, kind, body, chunks, parts)


def summarize(value: bytes, *, with_text: bool) -> EntrySummary:
    """The summary of a value; without the text its header is enough. Raises DecodeError, also for too few bytes.

    The checksum is not verified: whether bytes are sound is for a lookup to say.
    """
    try:
        schema, flags, incarnation, sequence, digest, created_at, namespace_length, model_length = _SUMMARY.unpack_from(
            value
        )
        if schema != SCHEMA:
            raise DecodeError("another schema")
        model_at = _FIXED.size + namespace_length
        target_at = model_at + model_length
        start = target_at + 32 if flags & _ALIAS else target_at
        if len(value) < start:
            raise DecodeError("truncated")
        model = value[model_at:target_at].decode()
        target = value[target_at:start] if flags & _ALIAS else None
        tags, users, start = _names(value, flags, start) if flags & _NAMED else ((), (), start)
        if not with_text:
            return EntrySummary(digest, model, incarnation, sequence, created_at, target, tags, users)
        words = _decode_words(_decompressed(value[start:]) if flags & _COMPRESSED else value[start:])
        return EntrySummary(digest, model, incarnation, sequence, created_at, target, tags, users, words.prompt)
    except (struct.error, ValueError, IndexError, zstandard.ZstdError, msgspec.MsgspecError, RecursionError) as error:
        raise DecodeError("not an entry") from error


def stamp_bytes(incarnation: bytes, sequence: int) -> bytes:
    """Incarnation and sequence as they stand in a value at STAMP_OFFSET."""
    return incarnation + sequence.to_bytes(8, "big")


def flags_of(*, alias: bool, tagged: bool, owned: bool) -> int:
    """The bits of these flags in a value's second byte."""
    return _ALIAS * alias | _TAGGED * tagged | _OWNED * owned


def names_bytes(namespace: str, model: str) -> bytes:
    """Namespace and model as they stand in a value at LENGTHS_OFFSET."""
    names = namespace.encode(), model.encode("utf-8", "surrogatepass")
    return b"".join((_LENGTHS.pack(*map(len, names)), *names))


def _unpack(value: bytes) -> tuple[EntryHeader, int, tuple[str, ...], int, int]:
    (
        schema,
        flags,
        _checksum,
        incarnation,
        sequence,
        digest,
        scope,
        created_at,
        fresh_until,
        input_tokens,
        output_tokens,
        cost_usd,
        latency_ms,
        length,
        namespace_length,
        model_length,
    ) = _FIXED.unpack_from(value)
    if schema != SCHEMA:
        raise DecodeError("another schema")
    names = _FIXED.size
    model_at = names + namespace_length
    target_at = model_at + model_length
    start = target_at + (32 if flags & _ALIAS else 0)
    if len(value) < start:
        raise DecodeError("truncated")
    target = value[target_at:start] if flags & _ALIAS else None
    tags, users, start = _names(value, flags, start) if flags & _NAMED else ((), (), start)
    header = EntryHeader(
        digest=digest,
        scope=scope,
        namespace=value[names:model_at].decode(),
        model=value[model_at:target_at].decode(),
        incarnation=incarnation,
        sequence=sequence,
        created_at=created_at,
        fresh_until=fresh_until,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=None if math.isnan(cost_usd) else cost_usd,
        latency_ms=latency_ms,
        target=target,
        users=users,
    )
    return header, flags, tags, start, length


def _encode_tags(tags: tuple[str, ...]) -> bytes:
    encoded = _encode(tags)
    return _TAGS_LENGTH.pack(len(encoded)) + encoded


def _names(value: bytes, flags: int, at: int) -> tuple[tuple[str, ...], tuple[bytes, ...], int]:
    """Tags and users, which begin at `at`, and where they end."""
    users: tuple[bytes, ...] = ()
    if flags & _OWNED:
        first = at + 1
        at = first + USER_BYTES * value[at]
        users = tuple(value[each : each + USER_BYTES] for each in range(first, at, USER_BYTES))
    if not flags & _TAGGED:
        if len(value) < at:
            raise DecodeError("truncated")
        return (), users, at
    first = at + _TAGS_LENGTH.size
    at = first + _TAGS_LENGTH.unpack_from(value, at)[0]
    return _decode_tags(value[first:at]), users, at


def _decompressed(payload: bytes) -> bytes:
    if zstandard.frame_content_size(payload) > MAX_PAYLOAD_BYTES:
        raise DecodeError("too large")
    return _decompressor().decompress(payload)


# zstd contexts are not safe to share between threads.


def _compressor() -> zstandard.ZstdCompressor:
    compressor: zstandard.ZstdCompressor | None = getattr(_threads, "compressor", None)
    if compressor is None:
        compressor = _threads.compressor = zstandard.ZstdCompressor(level=3)
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    decompressor: zstandard.ZstdDecompressor | None = getattr(_threads, "decompressor", None)
    if decompressor is None:
        decompressor = _threads.decompressor = zstandard.ZstdDecompressor()
    return decompressor
