"""Texts to unit vectors: the embedders, behind one protocol.

Knows neither Redis nor the index. `CheckedEmbedder` in `checked.py` is what a lookup calls; embedders that need a
runtime of their own are in `local_models.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import openai

from ...errors import EmbedderError, ProviderUnavailable

Vector: TypeAlias = npt.NDArray[np.float32]
"""One embedding, shape (dimension,)."""

Vectors: TypeAlias = npt.NDArray[np.float32]
"""Embeddings, shape (texts, dimension)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderIdentity:
    """Which embedder made a vector. Vectors of two identities are never compared.

    `nested`: the first dimensions alone carry the meaning roughly (Matryoshka training), so a search may begin there.
    """

    name: str
    version: str
    dimension: int
    nested: bool = False

    @property
    def digest(self) -> bytes:
        """16 bytes that stand for the identity in stored rows and key names."""
        return blake2b(f"{self.name}\0{self.version}\0{self.dimension}".encode(), digest_size=16).digest()


class NoVector(StrEnum):
    """Why a text has no vector that a lookup may use."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    UNREADABLE = "unreadable"
    LATE = "late"
    FAILED = "failed"
    WRONG_SHAPE = "wrong-shape"
    NOT_FINITE = "not-finite"
    ZERO = "zero"


class Embedder(Protocol):
    """Turns texts into unit vectors."""

    @property
    def identity(self) -> EmbedderIdentity:
        """Which embedder this is; part of the index partition."""

    def objection(self, text: str) -> NoVector | None:
        """Why this embedder would not see the whole text (cut off, unknown characters); None when it would."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array of shape (texts, dimension), rows of length 1, in the order of the texts.

        Raises EmbedderError.
        """


def normalized(vectors: npt.NDArray[Any]) -> Vectors:
    """The rows scaled to length 1. Rows of zeros stay as they are."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    lengths[lengths == 0] = 1
    unit: Vectors = rows / lengths
    return unit


class WordLlamaEmbedder:
    """Static word vectors (WordLlama, 256 dimensions): local, offline, tens of microseconds a question.

    The mean over a bag of word pieces. It does not see word order: the guards do. Scripts that it would spell letter by
    letter instead of reading words are refused, since there an anagram would be a perfect match.
    """

    MODEL = "l2_supercat_256"
    MAX_TOKENS = 512
    """The mean of more pieces than this says little about any of them."""

    LETTERS_A_PIECE = 1.5
    """Fewer letters a piece than this, and the text is being spelt. English has about four."""

    def __init__(self) -> None:
        """Loads 16 MB from the package's own folder; nothing is downloaded. Raises EmbedderError without it.

        The package itself is not imported: importing it sets up the root logger of the application.
        """
        spec = find_spec("wordllama")
        if spec is None or not spec.submodule_search_locations:
            raise EmbedderError("wordllama is not installed; it has no wheel for this platform, or it was left out")
        folder = Path(spec.submodule_search_locations[0])
        self._tokenizer, self._weights = _load_wordllama(folder, self.MODEL)
        self._identity = EmbedderIdentity(
            name="wordllama",
            version=f"{version('wordllama')}/{self.MODEL}",
            dimension=self._weights.shape[1],
            nested=True,
        )

    @property
    def identity(self) -> EmbedderIdentity:
        """The version of the package, and the model in it."""
        return self._identity

    def objection(self, text: str) -> NoVector | None:
        """TOO_LONG when a mean cannot keep texts apart, UNREADABLE for a script it does not know, else None."""
        if len(text) > 8 * self.MAX_TOKENS:
            return NoVector.TOO_LONG
        if text.isascii() and len(text) <= self.MAX_TOKENS:
            return None
        pieces = self._tokenizer.encode(text, add_special_tokens=False).tokens
        if len(pieces) > self.MAX_TOKENS:
            return NoVector.TOO_LONG
        if any(piece in _UNREADABLE_PIECES for piece in pieces):
            return NoVector.UNREADABLE
        letters = sum(character.isalpha() for character in text)
        lettered = sum(any(character.isalpha() for character in piece) for piece in pieces)
        return NoVector.UNREADABLE if letters < self.LETTERS_A_PIECE * lettered else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array of shape (texts, 256), rows of length 1; zeros for a text without a known piece."""
        means = np.zeros((len(texts), self._identity.dimension), dtype=np.float32)
        try:
            encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise EmbedderError("the tokenizer does not take this text") from error
        for row, encoding in zip(means, encodings, strict=True):
            if encoding.ids:
                self._weights[encoding.ids].mean(axis=0, dtype=np.float32, out=row)
        return normalized(means)


# Llama's vocabulary falls back to single bytes for what it does not know. White space among them is harmless.
_UNREADABLE_PIECES = frozenset(f"<0x{byte:02X}>" for byte in range(256) if byte not in b"\t\n\r") | {"<unk>"}


def _load_wordllama(folder: Path, model: str) -> tuple[Any, npt.NDArray[np.float16]]:
    try:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        with safe_open(folder / "weights" / f"{model}.safetensors", framework="np") as tensors:
            weights = np.asarray(tensors.get_tensor("embedding.weight"), dtype=np.float16)
    except Exception as error:  # both packages raise bare Exception for files they cannot read
        raise EmbedderError(f"wordllama cannot be loaded from its package: {type(error).__name__}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, weights


class EmbeddingServer(Protocol):
    """What `OpenAIEmbedder` needs of a provider."""

    @property
    def base_url(self) -> str:
        """The server's address; part of the embedder's identity."""

    def embed(self, texts: Sequence[str], model: str, timeout_seconds: float | None = None) -> list[list[float]]:
        """One vector a text, in their order."""


class OpenAIEmbedder:
    """Any server with an OpenAI-compatible `/embeddings`, through a provider's client."""

    MAX_BYTES = 8_000
    """A byte is a token at most, and 8,191 tokens are the usual limit: nothing shorter is ever cut off."""

    def __init__(
        self,
        server: EmbeddingServer,
        model: str,
        *,
        dimension: int | None = None,
        nested: bool | None = None,
        timeout_seconds: float = 5.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`dimension` must be given for models other than OpenAI's own. `timeout_seconds` bounds each network wait.

        `max_bytes` must be less where the model reads fewer tokens than 8,191. Raises EmbedderError.
        """
        known = _OPENAI_DIMENSIONS.get(model)
        if dimension is None and known is None:
            raise EmbedderError(f"the dimension of {model!r} is not known here: say it")
        self._server = server
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._identity = EmbedderIdentity(
            name="openai",
            version=f"{model}@{server.base_url}",
            dimension=dimension or known or 0,
            nested=model.startswith("text-embedding-3") if nested is None else nested,
        )

    @property
    def identity(self) -> EmbedderIdentity:
        """Model and server. A server that changes the model behind a name goes unnoticed."""
        return self._identity

    def objection(self, text: str) -> NoVector | None:
        """TOO_LONG for texts that a server might cut off without an error, else None."""
        return NoVector.TOO_LONG if len(text.encode("utf-8", "surrogatepass")) > self._max_bytes else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array of shape (texts, dimension), rows of length 1. One request for all.

        Raises EmbedderError without
        the server's message, which may quote the text."""
        if not texts:
            return np.zeros((0, self._identity.dimension), dtype=np.float32)
        try:
            rows = np.asarray(self._server.embed(texts, self._model, self._timeout_seconds), dtype=np.float32)
        except (openai.OpenAIError, ProviderUnavailable) as error:
            raise EmbedderError(f"the embedding server failed: {type(error).__name__}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise EmbedderError("the embedding server's answer is not a list of vectors") from error
        if rows.ndim != 2 or len(rows) != len(texts):
            raise EmbedderError(f"the embedding server gave an array of shape {rows.shape} for {len(texts)} texts")
        return normalized(rows)


_OPENAI_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
