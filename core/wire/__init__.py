"""The wire forms of the OpenAI API: chunks of a chat, events of a response, server-sent events, answers. Pure."""

from .answers import answer_text, objects, readable, says_error
from .assembly import Assembly, assemble
from .chat import replay, split, without_usage
from .events import DONE, Event, EventReader, encode_event, is_quickly_read
from .responses import ResponseAssembly, assemble_response, split_response

__all__ = [
    "DONE",
    "Assembly",
    "Event",
    "EventReader",
    "ResponseAssembly",
    "answer_text",
    "assemble",
    "assemble_response",
    "encode_event",
    "is_quickly_read",
    "objects",
    "readable",
    "replay",
    "says_error",
    "split",
    "split_response",
    "without_usage",
]
