"""The wire forms of the OpenAI API: chunks of a chat, events of a response, server-sent events, answers. Pure."""

from .answers import answer_text, objects, readable, says_error, sdk_type
from .assembly import Assembly, assemble
from .chat import split, without_usage
from .events import DONE, Event, EventReader, encode_event, finite, is_quickly_read
from .fields import (
    CALLERS_FIELDS,
    OF_THE_SDK,
    Treatment,
    divided_fields,
    divided_headers,
    header_treatment,
    is_keyed,
    is_of_a_proxy,
    is_secret,
    unkeyed_fields,
    with_callers,
    without_callers,
)
from .forms import can_be_streamed, from_chunks, in_chunks
from .repeats import notes_of, repeats_caller
from .responses import ResponseAssembly, assemble_response, split_response
from .shapes import has_known_shape

__all__ = [
    "CALLERS_FIELDS", "DONE", "OF_THE_SDK", "Assembly", "Event", "EventReader", "ResponseAssembly", "Treatment",
    "answer_text", "assemble", "assemble_response", "can_be_streamed", "divided_fields", "divided_headers",
    "encode_event", "finite", "from_chunks", "has_known_shape", "header_treatment", "in_chunks", "is_keyed",
    "is_of_a_proxy", "is_quickly_read", "is_secret", "notes_of", "objects", "readable", "repeats_caller", "says_error",
    "sdk_type", "split", "split_response", "unkeyed_fields", "with_callers", "without_callers", "without_usage",
]  # fmt: skip
