"""The wire forms of the OpenAI API: chunks of a chat, events of a response, server-sent events, answers. Pure."""

from .answers import answer_text, readable
from .chat import assemble, replay, split, without_usage
from .events import DONE, EventReader, encode_event
from .responses import assemble_response, split_response
from .shapes import has_known_shape

__all__ = [
    "DONE",
    "EventReader",
    "answer_text",
    "assemble",
    "assemble_response",
    "encode_event",
    "has_known_shape",
    "readable",
    "replay",
    "split",
    "split_response",
    "without_usage",
]
