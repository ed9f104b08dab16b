"""Entries: found, read, paged, taken out, put in; in every state and role."""

from __future__ import annotations

import time

import msgspec
import pytest

from core.access.roles import Actor, Role
from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.entries.listing import _BATCH as SEARCHED_AT_ONCE
from core.entries.listing import PAGE_SIZE, find_entry
from core.errors import StoreUnavailable
from core.models import ChatRequest, Completion, Controls, For, OutcomeKind
from core.settings import Settings
from core.stores.refusal import Refusal
from pages.components.data import actions as page_actions
from pages.components.data import context, held, queries
from pages.components.display import tables
from pages.components.entries import detail as entry_detail
from pages.components.entries import searching
from tests.pages.conftest import everything_said, from_top_to_bottom, select_rows


@pytest.fixture
def filled(ask):
    """Answers of two models; the keys by prompt."""
    asked = {f"What does word {number} mean?": "gpt-4o" for number in range(4)}
    asked["Who wrote <b>Faust</b>?"] = "gpt-4o-mini"
    return {prompt: ask(prompt, model=model).key for prompt, model in asked.items()}


def prompts(at):
    return set(at.dataframe[0].value["prompt"]) if at.dataframe else set()


def select(at, *rows):
    return select_rows(at, "entries-table", *rows)


def actions(services):
    return [(record.action, record.actor) for record in services.audit.records(action="entry.")]


def is_hit(ask, prompt, model="gpt-4o"):
    return ask(prompt, model=model).outcome.kind is OutcomeKind.HIT


# Tags


@pytest.fixture
def tagged(ask):
    """Answers with tags, some of them hostile; the tags that there are."""
    for number in range(3):
        ask(f"What does number {number} mean?", tags=("all", f"doc:{number}", HOSTILE_TAG)[: 2 + (number == 0)])
    return {"all", "doc:0", "doc:1", "doc:2", HOSTILE_TAG}


HOSTILE_TAG = "=1+1 [x](http://example.org) <script>x</script>"


def opened_tags(open_page):
    at = open_page("entries")
    at.session_state["tags-open"] = True
    return at.run()


def tag_table(at):
    return next(table.value for table in at.dataframe if "tag" in table.value.columns)


def test_the_known_tags_are_read_when_they_are_opened_and_counted(open_page, services, tagged):
    assert not [table for table in open_page("entries").dataframe if "tag" in table.value.columns]
    at = opened_tags(open_page)
    assert not at.exception
    table = tag_table(at)
    assert dict(zip(table["tag"], table["entries"], strict=True))["all"] == 3
    assert set(table["tag"]) == tagged
    assert "5 tags in 3 entries" in everything_said(at)


def test_a_tag_that_is_selected_becomes_the_filter(open_page, services, tagged):
    at = opened_tags(open_page)
    row = list(tag_table(at)["tag"]).index("doc:1")
    select_rows(at, "known-tags", row)
    at.run()
    assert at.selectbox(key="tag").value == "doc:1"
    assert prompts(at) == {"What does number 1 mean?"}


def test_without_tags_it_says_where_they_come_from(open_page, services, filled):
    assert "No stored entry has a tag" in everything_said(opened_tags(open_page))


def test_the_tag_filter_suggests_what_is_known_once_it_is_opened(open_page, services, tagged):
    at = open_page("entries")
    assert at.selectbox(key="tag").options == []
    at.session_state["entries-more"] = True
    at.run()
    assert set(at.selectbox(key="tag").options) == tagged


# Found


@pytest.mark.parametrize("alone", [False, True])
def test_with_nothing_stored_it_says_how_entries_come_to_be(open_page, services, alone):
    at = open_page("entries", alone=alone)
    assert not at.exception
    assert "No entries yet" in everything_said(at)
    assert not at.dataframe


def test_what_is_stored_is_listed_and_counted_by_the_index(open_page, services, filled):
    at = open_page("entries")
    assert not at.exception
    assert prompts(at) == set(filled)
    assert "The index lists 5 entries in this namespace" in everything_said(at)
    assert set(at.dataframe[0].value["state"]) == {"fresh"}


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"model": "gpt-4o-mini"}, {"Who wrote <b>Faust</b>?"}),
        ({"namespace": "nobody"}, set()),
        ({"entries_age": "more than 1 day ago"}, set()),
        ({"entries_age": "last hour", "model": "gpt-4o-mini"}, {"Who wrote <b>Faust</b>?"}),
        ({"tag": "doc:1"}, set()),
        ({"ttl_class": "none"}, set()),
    ],
)
def test_a_link_opens_a_search(open_page, services, filled, link, expected):
    at = open_page("entries", **link)
    assert not at.exception
    assert prompts(at) == expected


def test_a_link_to_what_can_be_no_namespace_is_refused_in_words(open_page, services):
    at = open_page("entries", namespace="no {namespace}")
    assert not at.exception
    assert "letters" in everything_said(at)


def test_answers_are_searched_when_asked_for(open_page, services):
    request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": "Where?"}])
    choice = {"message": {"role": "assistant", "content": "In Lisbon."}, "finish_reason": "stop"}
    services.cache.put(request, Completion(body={"choices": [choice]}), Controls(ttl=For(60)))
    at = open_page("entries")
    at.text_input(key="q").set_value("lisbon").run()
    assert "Nothing matches" in everything_said(at)
    at.toggle(key="in_answers").set_value(True).run()
    assert prompts(at) == {"Where?"}


def test_when_nothing_matches_the_filters_can_be_cleared(open_page, services, filled):
    at = open_page("entries")
    at.text_input(key="q").set_value("nothing like this").run()
    assert "Nothing matches" in everything_said(at)
    assert "No entries yet" not in everything_said(at)
    at.button(key="entries-clear").click().run()
    assert prompts(at) == set(filled)


def test_pages_are_turned_to_the_end_and_back(open_page, services, ask):
    for number in range(PAGE_SIZE + 3):
        ask(f"What does word {number} mean?")
    at = open_page("entries")
    first = prompts(at)
    assert (len(first), at.button(key="entries-previous").disabled) == (PAGE_SIZE, True)
    at.button(key="entries-next").click().run()
    assert prompts(at) == {f"What does word {number} mean?" for number in range(3)}
    assert at.button(key="entries-next").disabled
    at.button(key="entries-previous").click().run()
    assert prompts(at) == first


def test_a_new_search_begins_at_its_first_page(open_page, services, ask):
    for number in range(PAGE_SIZE + 3):
        ask(f"What does word {number} mean?")
    at = open_page("entries")
    at.button(key="entries-next").click().run()
    at.text_input(key="q").set_value("word 52").run()
    assert prompts(at) == {"What does word 52 mean?"}


@pytest.fixture
def many_stored(ask, monkeypatch):
    """More than a batch of a search, and the oldest two are about moles; batches are as short as can be."""
    monkeypatch.setattr(queries, "BATCH_SECONDS", 0.0)
    monkeypatch.setattr(searching, "REDRAW_SECONDS", 0.0)
    ask("What does a mole eat?")
    ask("What does a mole drink?")
    for number in range(SEARCHED_AT_ONCE * 4):
        ask(f"What does word {number} mean?")
    return SEARCHED_AT_ONCE * 4 + 2


def search(at, text):
    return at.text_input(key="q").set_value(text).run()


def runs_to_the_end(at):
    """The runs of the page until all is searched, each before the next one."""
    for _ in range(10):
        if "Searched all" in everything_said(at):
            return
        yield
        at.run()
    raise AssertionError(everything_said(at))


def test_a_search_goes_on_by_itself_to_the_end(open_page, services, many_stored):
    at = search(open_page("entries"), "mole")
    assert not at.exception
    seen = []
    for _ in runs_to_the_end(at):
        seen.append(everything_said(at))
        assert not prompts(at)
    assert any(f"of {many_stored} entries: none match so far" in said for said in seen)
    assert prompts(at) == {"What does a mole eat?", "What does a mole drink?"}
    assert f"Searched all {many_stored} entries: 2 match." in everything_said(at)
    assert "entries-search-go" not in [button.key for button in at.button]


def test_rows_are_shown_as_they_are_found(open_page, services, many_stored):
    at = search(open_page("entries"), "word 77")
    assert prompts(at)
    assert "Searched all" not in everything_said(at)
    before = prompts(at)
    for _ in runs_to_the_end(at):
        assert prompts(at) >= before
        before = prompts(at)
    assert "What does word 77 mean?" in prompts(at)


def test_a_search_is_stopped_and_goes_on(open_page, services, many_stored):
    at = search(open_page("entries"), "mole")
    at.button(key="entries-search-go").click().run()
    for _ in range(2):  # it stays where it is
        assert f"Stopped after {SEARCHED_AT_ONCE * 2} of" in everything_said(at)
        at.run()
    at.button(key="entries-search-go").click().run()
    for _ in runs_to_the_end(at):
        assert "Stopped" not in everything_said(at)
    assert prompts(at) == {"What does a mole eat?", "What does a mole drink?"}


def test_a_stopped_search_does_not_stop_the_next_one(open_page, services, many_stored):
    at = search(open_page("entries"), "mole")
    at.button(key="entries-search-go").click().run()
    search(at, "no such thing")
    assert "Stopped" not in everything_said(at)


def test_rows_do_not_come_under_the_pointer_of_who_has_selected_one(open_page, services, many_stored):
    at = select(search(open_page("entries"), "word 77"), 0)
    for _ in range(6):
        if "1 row more as soon as no entry is selected" in everything_said(at):
            break
        at.run()
    assert "1 row more as soon as no entry is selected" in everything_said(at)
    assert "What does word 77 mean?" not in prompts(at)
    assert "What does word 77 mean?" in prompts(at.run())


def test_a_page_is_full_before_all_is_searched(open_page, services, many_stored):
    at = search(open_page("entries"), "word")
    said = everything_said(at)
    assert f"of {many_stored} entries: {PAGE_SIZE} match. Next continues the search." in said
    at.button(key="entries-next").click().run()
    assert f"Searched {2 * PAGE_SIZE} of" in everything_said(at)


def test_a_search_waits_for_redis_and_keeps_what_it_found(open_page, services, many_stored, monkeypatch):
    at = search(open_page("entries"), "word 79")
    found = prompts(at)
    assert found
    monkeypatch.setattr(queries, "page_entries", _unavailable)
    assert "The search continues as soon as it can" in everything_said(at.run())
    assert prompts(at) == found


def _unavailable(*args, **kwargs):
    raise StoreUnavailable("Redis does not answer")


def test_a_list_does_not_move_until_it_is_read_again(open_page, services, ask, filled):
    at = open_page("entries")
    ask("What is new?")
    assert "What is new?" not in prompts(at.run())
    at.button(key="entries-refresh").click().run()
    assert "What is new?" in prompts(at)


# Read


def test_one_entry_is_shown_whole_as_text(open_page, services, filled):
    at = open_page("entries", id=filled["Who wrote <b>Faust</b>?"])
    texts = [text.value for text in at.text]
    assert "Who wrote <b>Faust</b>?" in texts
    assert "gpt-4o-mini" in texts
    assert filled["Who wrote <b>Faust</b>?"] in [code.value for code in at.code]
    assert not any("<b>" in markdown.value for markdown in at.markdown)


def test_a_key_can_be_searched_for(open_page, services, filled):
    key = filled["What does word 2 mean?"]
    at = open_page("entries")
    at.text_input(key="q").set_value(key).run()
    assert "What does word 2 mean?" in [text.value for text in at.text]
    assert not at.dataframe


def test_a_key_that_is_not_there_is_told(open_page, services, filled):
    at = open_page("entries", id="0-" + "0" * 64)
    assert "No entry has this key" in everything_said(at)


def test_invalidated_entries_are_shown_when_asked_for_and_cannot_be_edited(open_page, services, filled):
    key = filled["What does word 2 mean?"]
    services.invalidation.invalidate(Criteria(key=key), actor="olga", hold_seconds=300)
    at = open_page("entries")
    assert "What does word 2 mean?" not in prompts(at)
    at = open_page("entries", entries_hidden="true", id=key)
    assert "What does word 2 mean?" in prompts(at)
    assert "invalidated, hidden" in set(at.dataframe[0].value["state"])
    assert at.button(key="entry-invalidate").disabled


# Changed


def test_one_entry_is_invalidated_after_a_question(open_page, services, filled, ask):
    key = filled["What does word 2 mean?"]
    at = open_page("entries", id=key)
    at.button(key="entry-invalidate").click().run()
    assert "**1 entry** will be hidden" in everything_said(at)
    assert "No worker is alive" in everything_said(at)
    assert services.invalidation.history() == []
    at.button(key="entries-confirm").click().run()
    assert [str(one.criteria.key) for one in services.invalidation.history()] == [key]
    assert "What does word 2 mean?" not in prompts(at)
    assert not is_hit(ask, "What does word 2 mean?")


def test_a_selection_is_invalidated_together_and_nothing_else(open_page, services, filled, ask):
    at = select(open_page("entries"), 0, 2)
    listed = list(at.dataframe[0].value["prompt"])
    at.button(key="entries-invalidate").click().run()
    at.button(key="entries-cancel").click().run()
    assert services.invalidation.history() == []
    at.button(key="entries-invalidate").click().run()
    at.button(key="entries-confirm").click().run()
    assert prompts(at) == set(filled) - {listed[0], listed[2]}
    assert "selected" not in everything_said(at)


def test_all_that_match_are_handed_over_to_the_invalidations(open_page, services, filled):
    at = open_page("entries", model="gpt-4o")
    at.text_input(key="q").set_value("word 1").run()
    at.button(key="entries-invalidate-all").click().run()
    assert at.title[0].value == "Invalidations"
    assert at.selectbox(key="criteria-model").value == "gpt-4o"
    assert at.multiselect(key="criteria-keywords").value == ["word 1"]
    assert services.invalidation.history() == []


def test_a_ttl_is_changed_and_put_on_record(open_page, services, filled):
    key = filled["What does word 2 mean?"]
    at = open_page("entries", id=key)
    at.selectbox(key="entry-ttl").set_value("1 minute")
    at.button(key="entry-keep").click().run()
    assert "fresh for 1 minute" in everything_said(at)
    left = find_entry(services.store, services.settings.namespace, key).entry.header.fresh_until - time.time()
    assert 30 < left <= 60
    assert actions(services) == [("entry.edited", "console")]


def test_an_entry_is_pinned_and_unpinned_and_put_on_record(open_page, services, filled):
    key = filled["What does word 2 mean?"]
    at = open_page("entries", id=key)
    at.button(key="entry-pin").click().run()
    assert "a worker keeps it fresh until" in everything_said(at)
    assert [pin.key for pin in services.pins.of(services.settings.namespace)] == [key]
    assert prompts(open_page("entries", entries_pinned="true")) == {"What does word 2 mean?"}
    at.button(key="entry-unpin").click().run()
    assert "TTL of its class again" in everything_said(at)
    assert actions(services) == [("entry.unpinned", "console"), ("entry.pinned", "console")]
    assert "Nothing matches" in everything_said(open_page("entries", entries_pinned="true"))


def test_entries_are_found_by_their_hits(open_page, services, filled, ask):
    for times, number in ((2, 1), (1, 3)):
        for _ in range(times):
            ask(f"What does word {number} mean?")
    at = open_page("entries", entries_hits="once or more")
    assert list(at.dataframe[0].value["prompt"]) == ["What does word 1 mean?", "What does word 3 mean?"]
    assert list(at.dataframe[0].value["hits"]) == [2, 1]
    at.selectbox(key="entries_hits").select("never served").run()
    assert prompts(at) == set(filled) - {"What does word 1 mean?", "What does word 3 mean?"}
    at = open_page("entries", id=filled["What does word 1 mean?"])
    assert any(text.value.startswith("2 times, last ") for text in at.text)


def test_scope_and_neighbours_of_an_entry_are_told(open_page, services, filled, ask):
    key = ask("What does word 2 mean?", model="gpt-4o-mini").key
    at = open_page("entries", id=key)
    at.session_state["entry-further"] = True
    at.run()
    assert not at.exception
    parts = next(frame.value for frame in at.dataframe if "digest" in frame.value)
    assert {"namespace", "model", "server", "endpoint"} <= set(parts["name"])
    near = next(frame.value for frame in at.dataframe if "likeness" in frame.value)
    assert (near["prompt"][0], near["differs"][0]) == ("What does word 2 mean?", "model")


# Put in


def opened(open_page, name):
    at = open_page("entries")
    at.session_state[name] = True
    return at.run()


def test_an_answer_is_written_by_hand_and_served(open_page, services, ask, provider):
    at = opened(open_page, "entries-write")
    at.selectbox(key="written-model").set_value("gpt-4o")
    at.text_area(key="written-prompt").set_value("Who are we?")
    at.text_area(key="written-answer").set_value("The bank.")
    at.button(key="written-go").click().run()
    assert not at.exception
    assert "the next identical request is a hit" in everything_said(at)
    assert ask("Who are we?").completion.text == "The bank."
    assert prompts(at) == {"Who are we?"}
    assert actions(services) == [("entry.written", "console")]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"written-answer": ""}, "It is empty"),
        ({"written-prompt": " "}, "give the question"),
        ({"written-prompt": "What is my balance?"}, "names no user"),
    ],
)
def test_what_may_not_be_stored_is_told_with_its_reason(open_page, services, fields, told):
    at = opened(open_page, "entries-write")
    at.selectbox(key="written-model").set_value("gpt-4o")
    for key, value in ({"written-prompt": "Who are we?", "written-answer": "The bank."} | fields).items():
        at.text_area(key=key).set_value(value)
    at.button(key="written-go").click().run()
    assert told in everything_said(at)
    assert not at.dataframe


@pytest.mark.parametrize("parameters", ["{", "[1]", '{"model": "x"}'])
def test_parameters_are_a_json_object_of_parameters(open_page, services, parameters):
    at = opened(open_page, "entries-write")
    at.selectbox(key="written-model").set_value("gpt-4o")
    at.text_area(key="written-prompt").set_value("Who are we?")
    at.text_area(key="written-answer").set_value("The bank.")
    at.text_input(key="written-parameters").set_value(parameters)
    at.button(key="written-go").click().run()
    assert "JSON object" in everything_said(at)
    assert actions(services) == []


def test_a_file_is_imported_and_what_is_not_stored_is_told(open_page, services, ask):
    line = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Who are we?"}], "answer": "The bank."}
    text = msgspec.json.encode(line) + b"\nno line\n" + msgspec.json.encode(line | {"answer": ""})
    at = opened(open_page, "entries-import")
    at.file_uploader(key="entries-file").upload("answers.jsonl", text, "application/jsonl").run()
    at.button(key="entries-import-go").click().run()
    assert not at.exception
    assert "1 of 3 lines stored" in everything_said(at).replace("\\", "")
    refused = at.dataframe[-1].value
    assert list(refused["line"]) == [2, 3]
    assert refused["why"][1] == "It is empty."
    assert ask("Who are we?").completion.text == "The bank."
    assert actions(services) == [("entry.imported", "console")] * 2


# Read only, and without Redis


def test_a_viewer_reads_and_changes_nothing(open_page, services, filled, viewer):
    at = open_page("entries", id=filled["What does word 2 mean?"])
    assert at.button(key="entry-invalidate").disabled
    assert at.button(key="entry-pin").disabled
    assert "Read only" in everything_said(at)
    at = opened(open_page, "entries-write")
    assert at.button(key="written-go").disabled
    at = opened(open_page, "entries-import")
    assert at.file_uploader(key="entries-file").disabled


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_operators_and_admins_change_entries_in_their_own_name(open_page, services, filled, monkeypatch, role):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="olga@example.org", role=role))
    at = open_page("entries", id=filled["What does word 2 mean?"])
    assert "Read only" not in everything_said(at)
    at.button(key="entry-pin").click().run()
    at.button(key="entry-unpin").click().run()
    at.button(key="entry-keep").click().run()
    assert {actor for _, actor in actions(services)} == {"olga@example.org"}


def test_a_redis_that_takes_no_writes_is_told_and_nothing_can_be_changed(open_page, services, filled, monkeypatch):
    real = services.store.info
    monkeypatch.setattr(services.store, "info", lambda: msgspec.structs.replace(real(), refusal=Refusal.MISCONF))
    at = open_page("entries", id=filled["What does word 2 mean?"])
    assert "Redis refuses writes: it cannot save" in everything_said(at).replace("\\", "")
    for key in ("entry-invalidate", "entry-pin"):
        assert at.button(key=key).disabled


def test_a_viewer_who_gets_at_an_action_all_the_same_is_refused(services, filled, viewer):
    entry_detail.ask_to_invalidate(services.settings.namespace, list(filled.values()))
    assert page_actions.last("entry-look").ending is page_actions.Ending.REFUSED


def test_without_redis_the_last_page_stays(open_page, provider, use, redis_server, ask_with):
    server = redis_server()
    with bootstrap(Settings(redis_url=server.url), provider=provider) as built:
        use(built)
        ask_with(built, "What stays?")
        at = open_page("entries")
        assert prompts(at) == {"What stays?"}
        server.kill()
        at.button(key="entries-refresh").click().run()
        assert not at.exception
        assert prompts(at) == {"What stays?"}
        assert "You see the last values" in everything_said(at)


def test_with_no_redis_at_all_the_page_says_so(open_page, provider, use, tmp_path):
    with bootstrap(Settings(redis_url=f"unix://{tmp_path}/none.sock"), provider=provider) as built:
        use(built)
        at = open_page("entries")
        assert not at.exception
        assert "No values yet" in everything_said(at)


def test_a_click_opens_the_entry_that_was_clicked_whatever_has_been_stored_since(
    open_page, services, filled, ask, monkeypatch
):
    at = open_page("entries")
    clicked = at.dataframe[0].value["prompt"][1]
    for number in range(3):
        ask(f"What is number {number}?")
    context.readings().renew()
    monkeypatch.setattr(held, "HELD_SECONDS", 0.0)
    select(at, 1)
    assert clicked in [text.value for text in at.text]


def unfold_recipients(at):
    at.session_state["entry-recipients"] = True
    at.run()
    assert not at.exception
    return everything_said(at)


def test_who_got_an_answer_is_told_from_its_entry(open_page, use, pages_server, ask_with):
    with bootstrap(Settings(record_callers=True)) as services:
        use(services)
        hostile = "=cmd()|</b>\u202e" + "y" * 10_000
        messages = [{"role": "user", "content": "What is a cat?"}]
        for user in ("anna", hostile):
            request = ChatRequest.from_openai(model="gpt-4o", messages=messages, user=user)
            key = services.cache.complete(request).key
        at = open_page("entries", namespace="default", id=key)
        said = unfold_recipients(at)
        assert "Of the latest 2 requests, since " in said
        assert "2 got this answer." in said
        table = at.dataframe[0].value
        assert list(table["outcome"]) == ["hit, exact", "miss"]
        assert list(table["user"])[1] == "anna"
        assert len(table["user"][0]) < 300
        assert "\u202e" not in table["user"][0]
        assert b"'=cmd()" in tables.csv(table)


def test_who_got_an_answer_says_what_is_not_kept(open_page, services, filled):
    at = open_page("entries", id=next(iter(filled.values())))
    said = unfold_recipients(at)
    assert "1 got this answer." in said
    assert "Users and request ids are not kept: `ENCORE_RECORD_CALLERS` is off." in said
    assert not at.dataframe[0].value["user"].notna().any()


# A wrong answer


def test_an_entry_that_a_link_names_stands_above_the_others(open_page, filled):
    def drawn(at) -> list[str]:
        return [one.type for one in from_top_to_bottom(at.main) if one.type in ("subheader", "dataframe")]

    at = open_page("entries", id=next(iter(filled.values())))
    assert drawn(at)[0] == "subheader"
    at.button(key="entry-close").click().run()
    assert drawn(at)[0] == "dataframe"
    assert "id" not in at.query_params


def shown_entry(open_page, filled, prompt="What does word 0 mean?"):
    return open_page("entries", id=filled[prompt])


def test_an_answer_is_corrected_in_its_place_and_restored(open_page, services, filled, ask):
    key = filled["What does word 0 mean?"]
    before = find_entry(services.store, "default", key).entry
    at = shown_entry(open_page, filled)
    at.button(key="entry-correct").click().run()
    area = at.text_area[-1] if at.text_area[-1].key.startswith("correct-answer") else at.text_area[0]
    assert area.value == ask("What does word 0 mean?").completion.text
    area.input("<b>It means **nothing**.</b>").run()
    at.text_input(key="correct-reason").input("It was wrong").run()
    at.checkbox(key="correct-pin").check().run()
    at.button(key="correct-confirm").click().run()
    assert not at.exception
    assert "lookups that lead to this entry get this answer now" in at.success[0].value
    assert "keeps its own answer" in at.success[0].value, "nobody is to believe that other teams have it too"
    assert ask("What does word 0 mean?").completion.text == "<b>It means **nothing**.</b>"
    found = find_entry(services.store, "default", key, pins=services.pins)
    assert (found.pinned, found.entry.tags) == (True, before.tags)
    assert ("entry.corrected", "console") in actions(services)
    assert "1 version before this one" in [expander.label for expander in at.expander]
    assert "It was wrong" in everything_said(at)
    at.button(key="entry-restore-0").click().run()
    assert ask("What does word 0 mean?").completion.text == area_text(before)


def area_text(entry):
    return entry.body["choices"][0]["message"]["content"]


def test_a_cancelled_correction_changes_nothing(open_page, services, filled):
    at = shown_entry(open_page, filled)
    at.button(key="entry-correct").click().run()
    at.button(key="correct-cancel").click().run()
    assert actions(services) == []
    assert "correct-confirm" not in [button.key for button in at.button]


def test_after_an_invalidation_the_next_steps_are_there(open_page, services, filled, ask):
    key = filled["What does word 0 mean?"]
    at = shown_entry(open_page, filled)
    at.button(key="entry-invalidate").click().run()
    at.text_input(key="entries-reason").input("Wrong fee").run()
    at.button(key="entries-confirm").click().run()
    [done] = services.invalidation.history()
    assert done.reason == "Wrong fee"
    assert at.button(key="next-who-entry")
    at.button(key="next-write-entry").click().run()
    assert "An invalidation hides the old answer" in everything_said(at)
    area = next(area for area in at.text_area if (area.key or "").startswith("correct-answer"))
    area.input("The right one.").run()
    at.button(key="correct-confirm").click().run()
    assert ask("What does word 0 mean?").completion.text == "The right one."
    assert find_entry(services.store, "default", key).entry.versions == b""


def test_an_invalidation_is_undone_from_its_message(open_page, services, filled, ask):
    at = shown_entry(open_page, filled)
    at.button(key="entry-invalidate").click().run()
    at.button(key="entries-confirm").click().run()
    assert find_entry(services.store, "default", filled["What does word 0 mean?"]).state.value == "invalidated"
    at.button(key="next-undo-entry").click().run()
    assert is_hit(ask, "What does word 0 mean?")
    assert "next-undo-entry" not in [button.key for button in at.button]


def test_the_same_question_is_found_elsewhere_and_invalidated_together(open_page, services, filled, ask):
    for minute in range(3):
        messages = [
            {"role": "system", "content": f"Now it is 10:0{minute}."},
            {"role": "user", "content": "what does  word 0 mean"},
        ]
        services.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages), Controls(namespace="shop"))
    at = shown_entry(open_page, filled)
    at.session_state["entry-elsewhere"] = True
    at.run()
    at.button(key="entry-elsewhere-go").click().run()
    assert "they differ in the namespace, the spelling, the system prompt" in everything_said(at).replace("\\", "")
    [rows] = [table.value for table in at.dataframe if "differs" in table.value]
    assert rows[["namespace", "answers", "scopes"]].values.tolist() == [["shop", 3, 3]]
    at.button(key="entry-elsewhere-invalidate").click().run()
    assert "4 entries" in everything_said(at)
    at.text_input(key="entries-reason").input("Wrong everywhere").run()
    at.button(key="entries-confirm").click().run()
    found = services.invalidation.history()
    assert sorted(one.namespace for one in found) == ["default", "shop", "shop", "shop"]
    assert {one.reason for one in found} == {"Wrong everywhere"}
    assert not is_hit(ask, "What does word 0 mean?")


def test_a_viewer_corrects_nothing(open_page, services, filled, viewer):
    at = shown_entry(open_page, filled)
    assert at.button(key="entry-correct").disabled


# All namespaces


def table_of(at, column):
    return next(frame.value for frame in at.dataframe if column in frame.value)


def test_all_namespaces_are_counted_searched_and_opened(open_page, services, ask):
    for namespace, prompt in (("default", "Why?"), ("bank", "Is a refund taxed?"), ("bank", "How do refunds work?")):
        ask(prompt, namespace=namespace)
    at = open_page("entries", namespace="*")
    counted = table_of(at, "listed")
    assert dict(zip(counted["namespace"], counted["listed"], strict=True)) == {"bank": 2, "default": 1}
    assert "3 entries in 2 namespaces" in everything_said(at)
    at.text_input(key="q").set_value("refund").run()
    assert list(table_of(at, "matches")["matches"]) == ["2", "0"]
    found = table_of(at, "hits")
    assert set(found["prompt"]) == {"Is a refund taxed?", "How do refunds work?"}
    assert set(found["namespace"]) == {"bank"}
    select_rows(at, "entries-namespaces", 0)
    at.button(key="entries-open-namespace").click().run()
    assert at.selectbox(key="namespace").value == "bank"
    at = open_page("entries", namespace="*", id=found["key"][0])
    assert found["prompt"][0] in everything_said(at)
