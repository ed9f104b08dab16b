"""The wire forms of the OpenAI API: chunks of a chat, events of a response, server-sent events, answers. Pure."""

from .answers import answer_text, readable
from .chat import assemble, replay, split, without_usage
from .events import DONE, EventReader, encode_event
from .fields import (
    CALLERS_FIELDS,
    OF_THE_SDK,
    Treatment,
    divided_fields,
    divided_headers,
    header_treatment,
    is_keyed,
    is_secret,
    unkeyed_fields,
    with_callers,
    without_callers,
)
from .responses import assemble_response, split_response

__all__ = [
    "CALLERS_FIELDS", "DONE", "OF_THE_SDK", "EventReader", "Treatment", "answer_text", "assemble",
    "assemble_response", "divided_fields", "divided_headers", "encode_event", "header_treatment", "is_keyed",
    "is_secret", "readable", "replay", "split", "split_response", "unkeyed_fields", "with_callers",
    "without_callers", "without_usage",
]  # fmt: skip
