"""From the chunks of a streamed chat completion to the whole: what was streamed is what is kept.

A field is joined only where it is known how its fragments belong together. Whatever could be read in two ways is an
UnclearStream: such a stream is passed on and never kept. Pure; nothing that was received is changed in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from itertools import chain
from typing import Any, Final

from ..errors import IncompleteStream, UnclearStream
from .answers import says_error


class _Way(Enum):
    """How the values that a field has in different chunks belong together."""

    JOINED = auto()  # fragments of one text
    LISTED = auto()  # items of one list
    SAME = auto()  # the same in each chunk that has it
    FIRST = auto()
    LAST = auto()
    ONCE = auto()  # not known: it is clear only if one chunk alone has it
    PADDING = auto()  # no part of the answer


# Of reports about the call, the last one counts. `obfuscation` and `p` are padding against those who measure chunks.
_CHUNK: Final = {
    **dict.fromkeys(("usage", "service_tier", "system_fingerprint", "x_groq", "timings"), _Way.LAST),
    **dict.fromkeys(("object", "obfuscation", "p"), _Way.PADDING),
    "created": _Way.FIRST,
}
_CHOICE: Final = {
    **dict.fromkeys(("finish_reason", "native_finish_reason", "stop_reason", "matched_stop", "seed"), _Way.SAME),
    **dict.fromkeys(("content_filter_results", "content_filter_offsets"), _Way.LAST),
    **dict.fromkeys(("token_id", "token_ids"), _Way.PADDING),
}
_MESSAGE: Final = {
    **dict.fromkeys(("content", "refusal", "reasoning", "reasoning_content", "reasoning_text"), _Way.JOINED),
    **dict.fromkeys(("token_id", "token_ids"), _Way.PADDING),
    "role": _Way.SAME,
}
_LOG: Final = dict.fromkeys(
    ("content", "refusal", "tokens", "token_ids", "token_logprobs", "top_logprobs", "text_offset"), _Way.LISTED
)
_CALL: Final = dict.fromkeys(("id", "type", "index"), _Way.SAME)
_FUNCTION: Final = {"name": _Way.SAME, "arguments": _Way.JOINED}
_CUSTOM: Final = {"name": _Way.SAME, "input": _Way.JOINED}
_DETAIL: Final = {
    **dict.fromkeys(("id", "type", "index", "format", "signature"), _Way.SAME),
    **dict.fromkeys(("text", "summary"), _Way.JOINED),
}


def assemble(chunks: Iterable[Mapping[str, Any]], *, choices: int = 1) -> dict[str, Any]:
    """The chat completion that a whole stream of `chat.completion.chunk` objects amounts to.

    `choices` is the `n` of the request. Raises IncompleteStream when a choice is missing or has no finish reason and
    when the stream holds an error, UnclearStream when its chunks can be read in more ways than one.
    """
    assembly = Assembly(choices)
    for chunk in chunks:
        assembly.add(chunk)
    return assembly.body()


class Assembly:
    """A streamed chat completion, taken in chunk by chunk at a cost in proportion to their length."""

    def __init__(self, choices: int = 1) -> None:
        self._wanted = choices
        self._fields = _Fields(_CHUNK, _Way.SAME)
        self._choices: dict[int, _Choice] = {}
        self._finished = 0
        self.is_whole = False
        """Whether all choices have finished and the usage has come in the chunk of its own that ends a stream."""

    @property
    def has_finished(self) -> bool:
        """Whether all choices have finished."""
        return len(self._choices) == self._finished == self._wanted

    @property
    def has_usage(self) -> bool:
        """Whether the usage has been told."""
        return self._fields.values.get("usage") is not None

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Takes in the next chunk. Raises what `assemble` raises; the assembly is of no use then."""
        try:
            self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise UnclearStream("its chunks are not those of a chat completion") from error

    def _add(self, chunk: Mapping[str, Any]) -> None:
        if says_error(chunk):
            raise IncompleteStream("it holds an error")
        for name, value in chunk.items():
            if name != "choices":
                self._fields.add(name, value)
        parts = chunk.get("choices") or ()
        places = [self._place(part, of=len(parts)) for part in parts]
        if len(set(places)) < len(places):
            raise UnclearStream("a chunk has two parts of one choice")
        for place, part in zip(places, parts, strict=True):
            if place not in self._choices:
                self._choices[place] = _Choice()
            choice = self._choices[place]
            had_finished = choice.has_finished
            choice.add(part)
            self._finished += choice.has_finished and not had_finished
        self.is_whole = not parts and _says(chunk.get("usage")) and self.has_finished

    def _place(self, part: Mapping[str, Any], *, of: int) -> int:
        index = part.get("index")
        if index is None and of == self._wanted == 1:
            return 0
        if isinstance(index, bool) or not isinstance(index, int):
            raise UnclearStream("a part of a choice has no index")
        return index

    def body(self) -> dict[str, Any]:
        """The completion. Raises what `assemble` raises."""
        try:
            return self._body()
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise UnclearStream("its chunks are not those of a chat completion") from error

    def _body(self) -> dict[str, Any]:
        for index, choice in sorted(self._choices.items()):
            if not choice.has_finished:
                raise IncompleteStream(f"choice {index} has no finish reason")
        if sorted(self._choices) != list(range(len(self._choices))) or len(self._choices) != self._wanted:
            # Some servers give one, however many were asked for.
            kind = UnclearStream if self._choices else IncompleteStream
            raise kind(f"{len(self._choices)} of {self._wanted} choices arrived")
        choices = [{"index": index, **choice.whole()} for index, choice in sorted(self._choices.items())]
        fields = self._fields.whole()
        if not self.has_usage:
            fields.pop("usage", None)
        return {**fields, "object": "chat.completion", "choices": choices}


class _Fields:
    """The fields of one object, as chunks tell them one after the other."""

    def __init__(self, ways: Mapping[str, _Way], other: _Way = _Way.ONCE) -> None:
        self.values: dict[str, Any] = {}
        self._ways = ways
        self._other = other
        self._texts: dict[str, list[str]] = {}

    def add(self, name: str, value: Any) -> None:
        way = self._ways.get(name, self._other)
        known = self.values.get(name)
        if way is _Way.PADDING or (way is _Way.SAME and value == known):
            return
        if not _says(value):
            if known is None:
                self.values[name] = value
        elif way is _Way.JOINED:
            if not isinstance(value, str) or _says(known):
                raise UnclearStream(f"{name} is no text that could be joined")
            self._texts.setdefault(name, []).append(value)
        elif way is _Way.LISTED:
            if not isinstance(value, list):
                raise UnclearStream(f"{name} is no list")
            self.values[name] = known = known or []
            known += value
        elif way is _Way.LAST or not _says(known) or (way is _Way.FIRST and not known):
            self.values[name] = value
        elif way is not _Way.FIRST and (value != known or not (way is _Way.SAME or isinstance(value, int | float))):
            raise UnclearStream(f"{name} was given before, with another value")

    def pieces(self, name: str) -> int:
        """In how many fragments a text has come."""
        return len(self._texts.get(name, ()))

    def whole(self) -> dict[str, Any]:
        return {**self.values, **{name: "".join(pieces) for name, pieces in self._texts.items()}}


class _Choice:
    """One choice of a streamed completion."""

    def __init__(self) -> None:
        self._fields = _Fields(_CHOICE)
        self._message = _Fields(_MESSAGE)
        self._log = _Fields(_LOG)
        self._function = _Fields(_FUNCTION)
        self._calls: list[list[Any]] = []
        self._details: list[list[Any]] = []
        self._content = ""

    @property
    def has_finished(self) -> bool:
        return bool(self._fields.values.get("finish_reason"))

    def add(self, part: Mapping[str, Any]) -> None:
        had_finished = self.has_finished
        delta, log = part.get("delta") or {}, part.get("logprobs")
        for name, value in delta.items():
            self._add_to_message(name, value)
        if isinstance(log, Mapping):
            for name, value in log.items():
                self._log.add(name, value)
        if "logprobs" in part:
            self._fields.add("logprobs", None if isinstance(log, Mapping) else log)
        for name, value in part.items():
            if name == "message":
                self._check_message(value or {})
            # Some servers repeat the delta's text beside it.
            elif name not in ("index", "delta", "logprobs") and not (name == "text" and value == delta.get("content")):
                self._fields.add(name, value)
        if had_finished and (_tells(delta) or _tells(log or {})):
            raise UnclearStream("a choice goes on after its end")

    @staticmethod
    def _check_message(message: Mapping[str, Any]) -> None:
        # Beside deltas: whether it repeats them, or continues them, nobody can know.
        if _tells(message):
            raise UnclearStream("a chunk holds a message beside its delta")

    def _add_to_message(self, name: str, value: Any) -> None:
        match name, value:
            case "tool_calls", [_, *_]:
                self._calls.append(value)
            case "reasoning_details", [_, *_]:
                self._details.append(value)
            case "function_call", {} if value:
                self._message.add(name, {})
                for field, fragment in value.items():
                    self._function.add(field, fragment)
            case "content", [_, *_] | str() if value:
                self._add_content(value)
            case "tool_calls" | "reasoning_details" | "function_call", _ if _says(value):
                raise UnclearStream(f"{name} are of another type")
            case _:
                self._message.add(name, value)

    def _add_content(self, value: str | list[Any]) -> None:
        """Texts, and texts in a list of one part each, are joined; any other list is clear only if it comes alone."""
        match value:
            case str():
                form = "text"
            case [{"type": "text", "text": str(text), **more}] if not more:
                form, value = "text part", text
            case _:
                form = "parts"
        if self._content and (form != self._content or form == "parts"):
            raise UnclearStream("content comes in more than one form")
        self._content = form
        if form == "parts":
            self._message.values["content"] = value
        else:
            self._message.add("content", value)

    def whole(self) -> dict[str, Any]:
        fields = self._message.whole()
        if self._content == "text part":
            fields["content"] = [{"type": "text", "text": fields["content"]}]
        if function := self._function.whole():
            _check_call(self._function)
            fields["function_call"] = function
        if self._calls:
            fields["tool_calls"] = _whole_calls(self._calls)
        if self._details:
            fields["reasoning_details"] = _whole_details(self._details)
        message = {"role": fields.pop("role", None) or "assistant", "content": fields.pop("content", None), **fields}
        log = self._log.whole()
        choice = self._fields.whole()
        if log:
            choice["logprobs"] = log
        return {"message": message, **choice}


class _Call:
    """One tool call, whose arguments come in fragments."""

    def __init__(self, place: int | None) -> None:
        self.place = place
        self._fields = _Fields(_CALL)
        self._function = _Fields(_FUNCTION)
        self._custom = _Fields(_CUSTOM)

    @property
    def identity(self) -> Any:
        return self._fields.values.get("id")

    def add(self, fragment: Mapping[str, Any]) -> None:
        for name, value in fragment.items():
            inner = {"function": self._function, "custom": self._custom}.get(name)
            if inner is None:
                self._fields.add(name, value)
            else:
                for field, piece in (value or {}).items():
                    inner.add(field, piece)

    def whole(self) -> dict[str, Any]:
        function, custom = self._function.whole(), self._custom.whole()
        _check_call(self._function if function else self._custom)
        call = {name: value for name, value in self._fields.whole().items() if name != "index"}
        return call | ({"function": function} if function else {}) | ({"custom": custom} if custom else {})


def _whole_calls(lists: list[list[Any]]) -> list[dict[str, Any]]:
    """The tool calls in the lists of fragments that came. A call is known by its index, and by its id where servers
    give all of them the same index.
    """
    if len(lists) == 1 and all(map(_names_its_tool, lists[0])):
        return [{name: value for name, value in call.items() if name != "index"} for call in lists[0]]
    calls: list[_Call] = []
    latest: dict[Any, _Call] = {}
    for fragment in chain.from_iterable(lists):
        place = fragment.get("index")
        known = ("index", place) if place is not None else ("id", fragment.get("id"))
        call = _call_of(latest.get(known), fragment)
        if call is None:
            call = latest[known] = _Call(place)
            calls.append(call)
        call.add(fragment)
    places = {call.place for call in calls}
    if places != {None} and places != {*range(len(places))}:
        raise UnclearStream("a tool call is missing")
    identities = [call.identity for call in calls if call.identity]
    if len({*identities}) < len(identities):
        raise UnclearStream("two tool calls have one id")
    return [call.whole() for call in sorted(calls, key=lambda call: call.place or 0)]


def _call_of(latest: _Call | None, fragment: Mapping[str, Any]) -> _Call | None:
    """The call that a fragment belongs to: the latest of its index, or of its id; None for the first of its own."""
    place, identity = fragment.get("index"), fragment.get("id")
    if not _is_index(place) and (place is not None or not identity):
        raise UnclearStream("a fragment of a tool call has neither index nor id")
    if latest is None or not identity or latest.identity in (None, "", identity):
        return latest
    if not _names_its_tool(fragment):
        raise UnclearStream("a fragment of a tool call has another id")
    return None


def _whole_details(lists: list[list[Any]]) -> list[dict[str, Any]]:
    """What a model thought, from fragments of parts that are known by their index."""
    if len(lists) == 1 and len(lists[0]) == 1:
        return lists[0]
    parts: dict[int, _Fields] = {}
    for fragment in chain.from_iterable(lists):
        if not _is_index(fragment.get("index")):
            raise UnclearStream("a part of the reasoning has no index")
        part = parts.setdefault(fragment["index"], _Fields(_DETAIL))
        for name, value in fragment.items():
            part.add(name, value)
    return [part.whole() for _, part in sorted(parts.items())]


def _says(value: Any) -> bool:
    return value is not None and value != "" and value != [] and value != {}


def _tells(part: Mapping[str, Any]) -> bool:
    """Whether a part of the answer says anything, beside whose it is."""
    return any(_says(value) for name, value in part.items() if _MESSAGE.get(name) not in (_Way.SAME, _Way.PADDING))


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _names_its_tool(fragment: Mapping[str, Any]) -> bool:
    return any(_says((fragment.get(kind) or {}).get("name")) for kind in ("function", "custom"))


def _check_call(called: _Fields) -> None:
    """Fragments that add up to no JSON are those of two calls, or were sent twice, or are not all here."""
    fields = called.whole()
    if not _says(fields.get("name")):
        raise UnclearStream("a call has no name")
    if called.pieces("arguments") > 1:
        try:
            json.loads(fields["arguments"])
        except (ValueError, RecursionError):
            raise UnclearStream("the arguments of a call are no JSON") from None
