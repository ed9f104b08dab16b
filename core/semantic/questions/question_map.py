"""The map of questions as it is kept: which group each belongs to and where it stands, by digests, never by texts.

Texts and figures are the request log's: a map says nothing of a question that is no longer there.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from ...text import fold_words


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a question stands: its group, how near it is to the middle of that (a cosine), x and y from -1 to 1.

    `near` is the digest of the question that is nearest to it, if that is near enough to be judged; else empty.
    """

    group: int
    typical: float
    x: float
    y: float
    near: bytes = b""


class QuestionMap(msgspec.Struct, frozen=True, kw_only=True):
    """The places of questions by digest, as of `at` (Unix seconds). `model` is the name of the embedder.

    `unread` questions have no place: the model cannot read them. `left_out` ones have none since there are too many.
    """

    at: float
    model: str
    places: dict[bytes, Place]
    unread: int = 0
    left_out: int = 0


def digest(prompt: str) -> bytes:
    """Eight bytes that stand for a question: equal for texts that differ in case and white space only."""
    return blake2b(fold_words(prompt).encode("utf-8", "surrogatepass"), digest_size=8).digest()


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(QuestionMap).decode


def decode(value: bytes | None) -> QuestionMap | None:
    """The map; None where there is none, or one that another version has written."""
    try:
        return _decode(value) if value else None
    except msgspec.MsgspecError:
        return None
