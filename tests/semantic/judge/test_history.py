"""What a judge is shown of the messages before a question."""

from __future__ import annotations

from core.keys.identity import identify
from core.models import ChatRequest
from core.semantic.judge.history import MESSAGE_CHARACTERS, MOST_MESSAGES, earlier_texts


def texts_of(*messages: dict, **options) -> tuple[str, ...]:
    last = {"role": "user", "content": "How much is it?"}
    request = ChatRequest.from_openai(model="gpt-4o", messages=[*messages, last], **options)
    return earlier_texts(identify(request, "shop"))


def test_a_question_alone_has_no_history():
    assert texts_of() == ()
    assert texts_of({"role": "system", "content": "Be brief."}) == ()


def test_it_is_who_said_what_and_no_instructions():
    assert texts_of(
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Do you have a blue kettle?"},
        {"role": "assistant", "content": "Yes, the Aqua."},
        {"role": "developer", "content": "Mention the sale."},
    ) == ("user: Do you have a blue kettle?", "assistant: Yes, the Aqua.")


def test_parts_and_results_of_tools_are_told_and_what_has_no_text_is_left_out():
    call = {"id": "1", "type": "function", "function": {"name": "price", "arguments": "{}"}}
    assert texts_of(
        {"role": "user", "content": [{"type": "text", "text": "The kettle?"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "39 EUR"},
    ) == ("user: The kettle?", "tool: 39 EUR")


def test_the_responses_api_has_a_history_too():
    earlier = {"role": "user", "content": [{"type": "input_text", "text": "The kettle?"}]}
    assert texts_of(earlier, {"type": "reasoning", "summary": []}, endpoint="responses") == ("user: The kettle?",)


def test_the_latest_are_shown_and_long_ones_by_their_beginning_and_end():
    many = [{"role": "user", "content": f"message {number}"} for number in range(MOST_MESSAGES + 3)]
    assert texts_of(*many) == tuple(f"user: message {number}" for number in range(3, MOST_MESSAGES + 3))
    [long] = texts_of({"role": "user", "content": "begin " + "x" * 10_000 + " end"})
    assert len(long) <= len("user: ") + MESSAGE_CHARACTERS
    assert long.startswith("user: begin x")
    assert long.endswith("x end")
