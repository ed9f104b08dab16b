"""Server-sent events, from bytes in any pieces and back."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.wire.events import DONE, EventReader, encode_event
from tests.growth import grows_with_the_square

# Every kind of text a model may produce, half surrogate pairs included: they arrive escaped in JSON.
text = st.text(st.characters(), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


def pieces_of(data, cuts):
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def blocks_of(data, cuts=()):
    reader = EventReader()
    blocks = [block for piece in pieces_of(data, cuts) for block in reader.feed(piece)]
    return [*blocks, reader.close()], reader


def read(data, cuts=()):
    blocks, reader = blocks_of(data, cuts)
    assert b"".join(block.raw for block in blocks) == data, "nothing is left out"
    return [block.event for block in blocks if block.event is not None], reader.ended


events_on_the_wire = st.lists(st.dictionaries(text, json_values, max_size=3), max_size=4)


@st.composite
def streams(draw):
    """Bytes of a whole stream and the events in it: any line ends, comments, other fields, data over several lines."""
    events = draw(events_on_the_wire)
    lines = draw(st.sampled_from([[], [": hello"], ["", ""]]))
    for event in events:
        lines += draw(st.sampled_from([[], [": keep-alive"], ["event: message"], ["id: 7", "retry: 10"], ["", ""]]))
        data = json.dumps(event, indent=draw(st.sampled_from([None, 1])))
        lines += [draw(st.sampled_from(["data:", "data: "])) + line for line in data.split("\n")] + [""]
    lines += ["data: [DONE]", ""]
    sent = draw(st.sampled_from(["", "\ufeff"]))
    for line in lines:
        # An empty line that ends in LF after a line that ended in CR would be one CRLF and no empty line.
        joins = not line and sent.endswith("\r")
        sent += line + draw(st.sampled_from(["\r", "\r\n"] if joins else ["\n", "\r\n", "\r"]))
    return sent.encode(), events


class TestServerSentEvents:
    @given(streams(), st.data())
    def test_however_the_bytes_are_cut_the_events_are_the_same(self, stream, data):
        sent, events = stream
        cuts = data.draw(st.lists(st.integers(0, len(sent)), max_size=12))
        assert read(sent, cuts) == ([*events, DONE], True)

    @given(streams())
    def test_byte_by_byte_the_events_are_the_same(self, stream):
        sent, events = stream
        assert read(sent, range(1, len(sent))) == ([*events, DONE], True)

    @given(streams(), st.data())
    def test_a_stream_cut_short_has_not_ended(self, stream, data):
        sent, events = stream
        kept = data.draw(st.integers(0, sent.rindex(b"[DONE]") + len(b"[DONE]") - 1))
        received, ended = read(sent[:kept])
        assert not ended
        assert received == events[: len(received)]

    @given(events_on_the_wire)
    def test_what_is_encoded_is_read_back(self, events):
        sent = b"".join(encode_event(event) for event in [*events, DONE])
        assert read(sent) == ([*events, DONE], True)

    def test_a_chunk_is_one_line_of_data(self):
        assert encode_event({"id": "c", "n": "é\n"}) == 'data: {"id":"c","n":"é\\n"}\n\n'.encode()
        assert encode_event(DONE) == b"data: [DONE]\n\n"

    def test_a_typed_event_says_its_type_outside_the_data_too(self):
        event = {"type": "response.created"}
        assert encode_event(event) == b'event: response.created\ndata: {"type":"response.created"}\n\n'

    def test_half_a_surrogate_pair_survives(self):
        event = {"delta": "\ud83d"}
        assert read(encode_event(event)) == ([event], False)

    def test_nothing_after_the_end_is_read(self):
        assert read(b'data: [DONE]\n\ndata: {"a":1}\n\ndata: junk\n\n') == ([DONE], True)

    def test_an_event_without_data_is_no_event(self):
        assert read(b"event: ping\n\n: comment\n\n\n\n") == ([], False)

    @pytest.mark.parametrize("end", ["", "\n", "\r", "\r\n", " \n", "\n\n", "\n: bye\n\n"])
    def test_the_end_needs_no_blank_line(self, end):
        assert read(f'data: {{"a":1}}\n\ndata: [DONE]{end}'.encode()) == ([{"a": 1}, DONE], True)

    @pytest.mark.parametrize(
        "sent", ["data: [DONE", 'data: {"a": 1', 'data: {"a":\n', "data: oops\n", "event: x", "event: x\n", "da"]
    )
    def test_what_breaks_off_within_an_event_is_cut(self, sent):
        events, reader = blocks_of(b'data: {"a":1}\n\n' + sent.encode())
        assert [block.event for block in events if block.event] == [{"a": 1}]
        assert reader.is_cut

    @pytest.mark.parametrize("sent", ["", ": keep-alive\n", "data: [DONE]", "\n\n", "id: 7\n"])
    def test_a_stream_that_ends_between_two_events_is_not(self, sent):
        assert not blocks_of(b'data: {"a":1}\n\n' + sent.encode())[1].is_cut

    @pytest.mark.parametrize("nothing", [b"\r\n", b"\n", b": ping\n\n", b"event: ping\n\n", b"id: 1\n\n"])
    def test_what_holds_no_data_makes_no_block_each(self, nothing):
        reader = EventReader()
        assert [block.event for block in reader.feed(nothing * 1000)] == [None]
        blocks = reader.feed(nothing * 1000 + b'data: {"a":1}\n\n' + nothing * 1000)
        assert [block.event for block in blocks] == [{"a": 1}, None]

    @pytest.mark.parametrize("nothing", [b": ping\n", b"event: ping\n\n", b"\r\n"])
    def test_what_holds_no_data_is_not_held_back(self, nothing):
        reader, sent, shown = EventReader(), b"", b""
        for size in range(1, 200):  # each piece ends at another place
            piece = (nothing * 50)[len(sent) % len(nothing) :][:size]
            sent += piece
            shown += b"".join(block.raw for block in reader.feed(piece))
            assert len(sent) - len(shown) <= len(nothing)

    def test_an_event_is_as_large_as_it_is_whatever_stood_before_it(self):
        event = b'data: {"a":"' + b"x" * 80 + b'"}\n\n'
        for blanks in (b"", b"\n" * 90, b": ping\n\n" * 12):
            reader = EventReader(most_bytes=100)
            data = blanks + event
            blocks = [block for piece in (data[:-3], data[-3:]) for block in reader.feed(piece)]
            assert (blocks[-1].event, reader.is_lost) == ({"a": "x" * 80}, False)

    @pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n: bye\n", "\nid: 7\n"])
    def test_the_last_event_needs_no_blank_line_when_its_line_has_ended(self, end):
        blocks, reader = blocks_of(b'data: {"a":1}\n\ndata: {"b":2}' + end.encode())
        assert [block.event for block in blocks if block.event] == [{"a": 1}, {"b": 2}]
        assert (reader.is_cut, reader.is_lost) == (False, False)

    @pytest.mark.parametrize(
        "after", ['data: {"a":1}\n\n', "data:{}", "\n\ndata: junk\n", ": bye\ndata: {}", "id: 1\rdata: {}\r\r"]
    )
    def test_data_after_the_end_is_lost_and_passed_on(self, after):
        reader = EventReader()
        sent = b"data: [DONE]\n\n" + after.encode()
        assert b"".join(block.raw for block in reader.feed(sent)) == sent
        assert reader.is_lost

    @pytest.mark.parametrize("after", ["\n", ": bye\n\n", "data: [DONE]\n\n", "id: 7\n\n", "event: end\n\n"])
    def test_what_says_nothing_may_come_after_the_end(self, after):
        assert not blocks_of(b"data: [DONE]\n\n" + after.encode())[1].is_lost

    def test_a_comment_is_passed_on_at_once(self):
        reader = EventReader()
        assert [block.raw for block in reader.feed(b": keep-alive\n")] == [b": keep-alive\n"]
        assert reader.feed(b"event: error\n: within an event\n") == []
        assert [block.event for block in reader.feed(b"data: {}\n\n")] == [{"error": {}}]

    def test_an_event_that_is_called_an_error_is_one(self):
        assert read(b'event: error\ndata: {"detail": "gone"}\n\n') == ([{"error": {"detail": "gone"}}], False)

    @pytest.mark.parametrize("kind", ["response.failed", "response.completed ", "response.\u00e9"])
    def test_an_event_of_two_types_is_lost(self, kind):
        sent = f'event: {kind}\ndata: {{"type": "response.completed"}}\n\n'.encode()
        assert blocks_of(sent)[1].is_lost == (kind.strip() != "response.completed")

    def test_the_lines_of_an_event_are_joined_by_line_ends(self):
        assert read(b'data: {"a":\ndata: 1}\n\n') == ([{"a": 1}], False)
        assert blocks_of(b'data: {"a": 1\ndata: 2}\n\n')[1].is_lost

    @pytest.mark.parametrize(
        "data",
        [
            *(b"not json", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a":"caf\xe9"}', b'{"a":"\xed\xa0\x80"}'),
            *(b'{"caf\xe9":1}', b'{"a":"\xc0\xaf"}', b'{"a":"\xf5\x80\x80\x80"}', b'{"a":"\xe2\x82"}', b'{"a":NaN}'),
            *(
                b'{"a":-Infinity}',
                b'{"a":1e400}',
                b'{"a":' + b"9" * 5000 + b"}",
                b'{"a":"\x00"}',
                b"\x00",
                b'{"a":1}\x00',
            ),
            *(b'\xef\xbb\xbf{"a":1}', b'{"a":1', b"null", b"5", b'{"a":1}{"b":2}', '{"a":1}'.encode("utf-16")),
        ],
    )
    def test_data_that_is_no_json_object_is_lost_and_passed_on(self, data):
        events, reader = blocks_of(b"data: " + data + b'\n\ndata: {"a":1}\n\n')
        assert [block.event for block in events if block.event] == [{"a": 1}]
        assert reader.is_lost


class TestLargeEvents:
    LARGE = b'data: {"a":"' + b"x" * 3000 + b'"}\n\n'

    @given(st.lists(st.integers(0, len(LARGE) + 20), max_size=9))
    def test_are_passed_on_unread_and_the_next_one_is_read(self, cuts):
        reader = EventReader(most_bytes=1000)
        sent = self.LARGE + b'data: {"b":1}\n\n'
        blocks = [
            block for piece in pieces_of(sent, [min(cut, len(sent)) for cut in cuts]) for block in reader.feed(piece)
        ]
        assert b"".join(block.raw for block in blocks) == sent
        assert [block.event for block in blocks if block.event] == [{"b": 1}]
        assert reader.is_lost

    def test_pieces_of_one_do_not_wait_for_its_end(self):
        reader = EventReader(most_bytes=1000)
        assert reader.feed(self.LARGE[:900]) == []
        assert [block.raw for block in reader.feed(self.LARGE[900:1500])] == [self.LARGE[:1500]]
        assert [block.raw for block in reader.feed(self.LARGE[1500:1600])] == [self.LARGE[1500:1600]]

    def test_so_are_those_of_many_objects(self):
        many = b'data: {"a":[' + b",".join([b"{}"] * 6000) + b"]}\n\n"
        assert blocks_of(many)[1].is_lost

    @pytest.mark.parametrize("event", ['{"a":"%s"}', "%s", "\n%s", "data: %s"])
    def test_the_cost_of_one_grows_with_its_length(self, event):
        def stream_of(size):
            return "data: " + event % ("x" * size) + "\n\n"

        def read_in_pieces(stream):
            reader = EventReader(most_bytes=10**9)
            for start in range(0, len(stream), 1000):
                reader.feed(stream[start : start + 1000].encode())
            reader.close()

        assert not grows_with_the_square(read_in_pieces, stream_of, 1_000_000)
