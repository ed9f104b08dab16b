"""A real ONNX sentence model, small enough for a test: word vectors of its own behind the usual inputs and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = """
red apples a train to rome unit tests how can do i reset my the password what should cook for dinner tonight is capital
of france where parcel something much longer than other text ? word dimension ! . ,
"""
DIMENSION = 64


def onnx_model(folder: Path, *, seed: int = 1, pooling: dict[str, Any] | None = None, max_tokens: int = 512) -> Path:
    """Writes the folder that an exporter writes."""
    onnx = pytest.importorskip("onnx", reason="needs requirements-dev.txt")
    pytest.importorskip("onnxruntime", reason="needs requirements-dev.txt")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *WORDS.split()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {"tokenizer_config.json": {"unk_token": "[UNK]", "model_max_length": max_tokens}}
    if pooling:
        files["1_Pooling/config.json"] = pooling
    for name, values in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(values))
    table = np.random.default_rng(seed).standard_normal((len(vocabulary), DIMENSION)).astype(np.float32)
    helper, kinds = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "words",
        [
            helper.make_tensor_value_info(name, kinds.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("last_hidden_state", kinds.FLOAT, ["batch", "tokens", DIMENSION])],
        [onnx.numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder
