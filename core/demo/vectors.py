"""The demo model's embeddings: vectors of the embedder in the box, as `/v1/embeddings` gives them.

They are real embeddings: texts of one meaning are near each other, in fewer dimensions than those of large models.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import EmbedderError, ProviderUnavailable

if TYPE_CHECKING:
    from ..semantic.embedding import WordLlamaEmbedder

MODEL: Final = "encore-demo-embedding"
MOST_TEXTS: Final = 2048


def embeddings(model: str, given: Any, parameters: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """The answer to a request for embeddings that took `tokens` tokens.

    Raises ValueError, saying why, for a request that it cannot answer, and ProviderUnavailable without an embedder.
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("'input' must be a text, or a list of texts: the demo model knows no tokens.")
    if len(texts) > MOST_TEXTS:
        raise ValueError(f"'input' must have at most {MOST_TEXTS} texts.")
    embedder = _embedder()
    most = embedder.identity.dimension
    dimensions = parameters.get("dimensions", most)
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or not 1 <= dimensions <= most:
        raise ValueError(f"'dimensions' must be between 1 and {most} for the demo model.")
    from ..semantic.embedding import normalized

    try:
        rows = normalized(embedder.embed(texts)[:, :dimensions])
    except EmbedderError as error:
        raise ValueError(str(error)) from error
    form: Any = _as_base64 if parameters.get("encoding_format") == "base64" else _as_numbers
    data = [{"object": "embedding", "index": index, "embedding": form(row)} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": f"{MODEL} (standing in for {model})", "usage": usage}


def _as_numbers(row: Any) -> list[float]:
    numbers: list[float] = row.tolist()
    return numbers


def _as_base64(row: Any) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()


@cache
def _embedder() -> WordLlamaEmbedder:
    # Imported here: only those who ask for embeddings pay for numpy and the weights.
    from ..semantic.embedding import WordLlamaEmbedder

    try:
        return WordLlamaEmbedder()
    except EmbedderError as error:
        raise ProviderUnavailable(f"the demo model makes no embeddings here: {error}") from error
