"""The wire forms of the OpenAI API: chunks of a chat, events of a response, server-sent events, answers. Pure."""

from .answers import answer_text, objects, readable, says_error
from .assembly import Assembly, assemble
from .chat import split, without_usage
from .events import DONE, Event, EventReader, encode_event, is_quickly_read
from .forms import can_be_streamed, from_chunks, in_chunks
from .responses import ResponseAssembly, assemble_response, split_response
from .shapes import has_known_shape

__all__ = [
    "DONE",
    "Assembly",
    "Event",
    "EventReader",
    "ResponseAssembly",
    "answer_text",
    "assemble",
    "assemble_response",
    "can_be_streamed",
    "encode_event",
    "from_chunks",
    "has_known_shape",
    "in_chunks",
    "is_quickly_read",
    "objects",
    "readable",
    "says_error",
    "split",
    "split_response",
    "without_usage",
]
