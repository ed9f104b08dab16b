"""Invalidations: nothing without a preview and a confirmation, effective at once, undone, swept, told."""

from __future__ import annotations

import re
import time

import pytest

from core.access.roles import Actor, Role
from core.bans.changes import MOST_LISTED
from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.errors import OutcomeUnknown, WriteRefused
from core.invalidation.telling import InvalidationState
from core.keys import readable_key
from core.models import OutcomeKind
from core.settings import Settings
from pages.components.data import context, queries
from tests.cache.test_bypass import can_save, cannot_save
from tests.pages.conftest import everything_said, select_rows
from tests.samples import digest_of
from workers.queue import JobState
from workers.queue.records import job_id


@pytest.fixture
def filled(ask):
    """Twelve answers of one model, two of another."""
    for number in range(12):
        ask(f"What does word {number} mean?")
    return [ask(f"What does word {number} mean?", model="gpt-4o-mini") for number in range(2)]


def previewed(open_page, **link):
    at = filled_form(open_page, **link)
    return at.button(key="preview").click().run()


def filled_form(open_page, *, pattern="", keywords=(), **link):
    """The form, filled by a link, but for what may not stand in one."""
    at = open_page("invalidations", **link)
    words = {"pattern": pattern, "keywords": list(keywords)}
    if any(words.values()):
        names = [name for name, value in words.items() if value]
        at.pills(key="criteria-selectors").set_value([*at.pills(key="criteria-selectors").value, *names]).run()
    if pattern:
        at.text_input(key="criteria-pattern").input(pattern).run()
    if keywords:
        at.multiselect(key="criteria-keywords").set_value(list(keywords)).run()
    return at


def figure(at, label):
    return next(metric.value for metric in at.metric if metric.label == label)


def is_hit(ask, prompt, **controls):
    return ask(prompt, **controls).outcome.kind is OutcomeKind.HIT


def test_nothing_chosen_is_nothing_to_preview(open_page, services):
    at = open_page("invalidations")
    assert at.button(key="preview").disabled
    assert "No invalidation yet" in everything_said(at)


def test_a_link_fills_the_form_and_previews_and_applies_nothing(open_page, services, filled):
    at = open_page(
        "invalidations", model="gpt-4o-mini", older_than_days="7", tags="doc:1,doc:2", pattern="*", user="ann"
    )
    assert set(at.pills(key="criteria-selectors").value) == {"model", "age", "tags"}, "no text and nobody's name"
    assert at.selectbox(key="criteria-model").value == "gpt-4o-mini"
    assert (at.number_input(key="criteria-age").value, at.selectbox(key="criteria-unit").value) == (7, "days")
    assert at.multiselect(key="criteria-tags").value == ["doc:1", "doc:2"]
    assert not at.metric
    assert services.invalidation.history() == []


def test_a_preview_tells_count_cost_and_sample_and_changes_nothing(open_page, services, filled):
    at = previewed(open_page, model="gpt-4o-mini")
    assert figure(at, "Entries") == "2"
    assert "14.3 % of 14 entries" in everything_said(at)
    assert sorted(at.dataframe[0].value["prompt"]) == ["What does word 0 mean?", "What does word 1 mean?"]
    assert services.invalidation.history() == []


@pytest.mark.parametrize(
    ("link", "count"),
    [
        ({"pattern": "*word 1*"}, "4"),
        ({"keywords": ["WORD 3"]}, "1"),
        ({"model": "gpt-4o", "pattern": "*word 1*"}, "3"),
        ({"older_than_days": "1"}, "0"),
        ({"tags": "doc:1"}, "0"),
    ],
)
def test_criteria_can_be_combined(open_page, services, filled, link, count):
    assert figure(previewed(open_page, **link), "Entries") == count


@pytest.mark.parametrize(
    ("link", "problem"),
    [({"pattern": "***"}, "matches everything"), ({"key": "abc"}, "is not a key of this cache")],
)
def test_criteria_that_cannot_be_say_why(open_page, services, link, problem):
    at = filled_form(open_page, **link)
    assert at.button(key="preview").disabled
    assert problem in everything_said(at).replace("\\", "")


def test_a_selection_asks_once_more_and_is_effective_at_once(open_page, services, filled, ask):
    at = previewed(open_page, pattern="What does word 3*")
    at.button(key="apply").click().run()
    assert services.invalidation.history() == []
    at.button(key="confirm").click().run()
    [done] = services.invalidation.history()
    assert (done.state, done.actor, done.preview_count) == (InvalidationState.HELD, "console", 1)
    assert "1 entry is hidden from every lookup now." in at.success[0].value.replace("\\", "")
    assert not is_hit(ask, "What does word 3 mean?")
    assert is_hit(ask, "What does word 4 mean?")


def test_much_of_the_cache_takes_the_typed_word(open_page, services, filled):
    at = previewed(open_page, model="gpt-4o")
    at.button(key="apply").click().run()
    assert at.button(key="confirm").disabled
    at.text_input(key="typed").input("Invalidate ").run()
    assert not at.button(key="confirm").disabled
    at.button(key="confirm").click().run()
    assert services.invalidation.history()[0].preview_count == 12


def test_everything_takes_the_typed_word_and_stands_alone(open_page, services, filled):
    at = open_page("invalidations", model="gpt-4o")
    at.pills(key="criteria-selectors").set_value(["model", "all"]).run()
    assert at.pills(key="criteria-selectors").value == ["all"]
    at.button(key="preview").click().run()
    at.button(key="apply").click().run()
    assert at.button(key="confirm").disabled


def test_a_user_is_forgotten_whose_name_is_not_kept(open_page, services, filled, ask):
    ask("How do I activate a card?", user="ann@mail.test")
    at = open_page("invalidations")
    at.pills(key="criteria-selectors").set_value(["user"]).run()
    at.text_input(key="criteria-user").input("ann@mail.test").run()
    at.button(key="preview").click().run()
    assert figure(at, "Entries") == "1"
    at.button(key="apply").click().run()
    at.button(key="confirm").click().run()
    [done] = services.invalidation.history()
    assert done.criteria == Criteria.from_names(done.namespace, user="ann@mail.test")
    assert not is_hit(ask, "How do I activate a card?", user="ann@mail.test")


def test_once_undone_it_is_not_offered_to_be_undone_again(open_page, services, filled):
    at = previewed(open_page, key=filled[0].key)
    at.button(key="apply").click().run()
    assert "next-undo-invalidate" in [button.key for button in at.button]
    [done] = services.invalidation.history()
    at.button(key=f"undo-{done.id}").click().run()
    assert not at.exception
    assert "next-undo-invalidate" not in [button.key for button in at.button]


def test_one_key_takes_one_click(open_page, services, filled, ask):
    at = previewed(open_page, key=filled[0].key)
    at.button(key="apply").click().run()
    assert services.invalidation.history()[0].criteria == Criteria(namespace="default", key=filled[0].key)
    assert not is_hit(ask, "What does word 0 mean?", model="gpt-4o-mini")


def test_a_cancelled_dialog_changes_nothing_and_stays_closed(open_page, services, filled):
    at = previewed(open_page, model="gpt-4o-mini")
    at.button(key="apply").click().run()
    at.button(key="cancel").click().run()
    at.run()
    assert "pending" not in at.session_state
    assert services.invalidation.history() == []


def test_a_preview_of_other_criteria_cannot_be_applied(open_page, services, filled):
    at = previewed(open_page, model="gpt-4o-mini")
    at.selectbox(key="criteria-model").select("gpt-4o").run()
    assert "The criteria have changed since the preview" in at.info[0].value
    assert not [button for button in at.button if button.key == "apply"]


def test_what_changed_since_the_preview_is_told_in_the_dialog(open_page, services, filled, ask):
    at = previewed(open_page, model="gpt-4o-mini")
    ask("What does one more word mean?", model="gpt-4o-mini")
    at.button(key="apply").click().run()
    [told] = [warning.value for warning in at.warning if "changed since the preview" in warning.value]
    assert "2 at" in told
    assert "3 now" in told


def test_marking_stale_hides_nothing_and_is_not_swept(open_page, services, filled):
    at = filled_form(open_page, pattern="What does word 3*")
    at.segmented_control(key="soft").set_value(True).run()
    at.button(key="preview").click().run()
    at.button(key="apply").click().run()
    assert "answers are hidden at once" not in everything_said(at)  # nobody is needed for it
    at.button(key="confirm").click().run()
    [done] = services.invalidation.history()
    assert done.state is InvalidationState.SOFT


def test_no_hold_queues_the_sweep_at_once(open_page, services, filled, queue):
    at = filled_form(open_page, pattern="What does word 3*")
    at.selectbox(key="hold").select("not at all").run()
    at.button(key="preview").click().run()
    at.button(key="apply").click().run()
    at.button(key="confirm").click().run()
    assert [job.kind for job in queue.jobs()] == ["sweep"]
    assert at.query_params["job"] == job_id("sweep", "default")


def test_undo_brings_the_answers_back(open_page, services, filled, ask):
    done = services.invalidation.invalidate_by_model("gpt-4o-mini", actor="console")
    at = open_page("invalidations")
    button = at.button(key=f"undo-{done.id}")
    assert re.fullmatch(r"Undo \((5:00|4:5\d) left\)", button.label)
    button.click().run()
    assert services.invalidation.history()[0].state is InvalidationState.UNDONE
    assert "Undone" in at.success[0].value
    assert is_hit(ask, "What does word 0 mean?", model="gpt-4o-mini")


def test_the_form_says_where_it_acts_and_that_others_stay(open_page, services, ask, filled):
    at = open_page("invalidations", namespace="default", model="gpt-4o-mini")
    assert "others" not in everything_said(at), "there is one namespace"
    ask("What is a cat?", namespace="billing")
    context.readings().renew()
    at = open_page("invalidations", namespace="default", model="gpt-4o-mini")
    assert "Only in **`default`**, not in 1 other" in everything_said(at).replace("\\", "")
    at.button(key="preview").click().run()
    assert at.button(key="preview").label == "Preview in default"
    assert at.button(key="apply").label == "Invalidate 2 entries in default…"
    at.button(key="everywhere").click().run()
    assert at.query_params["namespace"] == "*"
    assert at.button(key="preview").label == "Preview in all namespaces"


def test_sweep_now_queues_a_job_and_its_link_shows_it(open_page, services, filled, queue):
    done = services.invalidation.invalidate_by_model("gpt-4o-mini", actor="console")
    at = open_page("invalidations")
    at.button(key=f"sweep-{done.id}").click().run()
    assert services.invalidation.history()[0].state is InvalidationState.HELD  # it only asks
    assert "Nobody can undo that" in everything_said(at)
    at.button(key="sweep-confirm").click().run()
    name = job_id("sweep", "default")
    assert at.query_params["job"] == name
    assert queue.job(name).state is JobState.QUEUED
    reloaded = open_page("invalidations", job=name)
    assert "waiting: no worker is alive" in [progress.proto.text for progress in reloaded.get("progress")]
    services.invalidation.sweep("default", rest=0)
    context.readings().renew()
    assert services.invalidation.history()[0].deleted == 2
    assert "swept" in list(reloaded.run().dataframe[-1].value["state"])


def test_sweep_now_says_how_much_is_deleted_and_how_long_it_could_be_undone(open_page, services, filled):
    criteria = Criteria(model="gpt-4o-mini")
    preview = services.invalidation.preview(criteria)
    done = services.invalidation.invalidate(criteria, actor="console", hold_seconds=600, preview=preview)
    at = open_page("invalidations")
    at.button(key=f"sweep-{done.id}").click().run()
    assert "2 entries" in everything_said(at)
    assert re.search(r"you can undo it for (10:00|9:\d\d)", everything_said(at).replace("\\", ""))
    at.button(key="sweep-cancel").click().run()
    assert services.invalidation.find(done.id).can_undo
    assert "Nobody can undo that" not in everything_said(at)


def test_a_reason_is_asked_for_and_shown_and_asked_for_anew(open_page, services, filled):
    at = filled_form(open_page, pattern="What does word 3*")
    at.button(key="preview").click().run()
    at.text_input(key="invalidation-reason").input("=1+1 **wrong** fees").run()
    at.button(key="apply").click().run()
    at.button(key="confirm").click().run()
    assert services.invalidation.history()[0].reason == "=1+1 **wrong** fees"
    assert list(listed(at)["reason"]) == ["=1+1 **wrong** fees"]
    assert at.text_input(key="invalidation-reason").value == ""


def test_the_history_shows_the_question_of_a_key_as_long_as_something_stands_there(open_page, services, filled):
    key = filled[0].key
    done = services.invalidation.invalidate(Criteria(key=key), actor="console")
    row = listed(open_page("invalidations")).iloc[0]
    assert (row["what"], row["namespace"], row["key"]) == ("“What does word 0 mean?”", "default", key)
    at = open_page("invalidations")
    assert len(listed(at.text_input(key="history_find").input("word 0 mean").run())) == 1
    services.invalidation.end_hold(done.id, actor="console")
    services.invalidation.sweep("default", rest=0)
    context.readings().renew()
    assert listed(open_page("invalidations")).iloc[0]["what"] == f"key {key[:14]}…"


def listed(at):
    """The table of the history."""
    return next(frame.value for frame in at.dataframe if "previewed" in frame.value)


def many_active(services, number: int) -> list[str]:
    """Invalidations in force, by a program, the one that ends first first."""
    return [
        services.invalidation.invalidate(Criteria(tags=(f"doc:{place}",)), actor="wiki").id for place in range(number)
    ]


def test_of_many_in_force_there_are_pages_and_a_search(open_page, services):
    ids = many_active(services, 25)

    def shown(at) -> list[str]:
        return [button.key.removeprefix("undo-") for button in at.button if button.key.startswith("undo-")]

    at = open_page("invalidations")
    assert shown(at) == ids[:10]
    assert "25 are in force, page 1" in everything_said(at)
    at.button(key="active-next").click().run()
    assert shown(at) == ids[10:20]
    at.button(key="active-next").click().run()
    assert (shown(at), at.button(key="active-next").disabled) == (ids[20:], True)
    at.button(key="active-back").click().run()
    assert shown(at) == ids[10:20]
    at.text_input(key="active_find").set_value("doc:23").run()
    assert shown(at) == ids[23:24]
    key = readable_key(0, digest_of("x"))
    by_key = services.invalidation.invalidate(Criteria(key=key), actor="wiki").id
    at.text_input(key="active_find").set_value(key).run()
    assert shown(at) == [by_key]
    at.text_input(key="active_find").set_value("doc:none").run()
    assert (shown(at), "none here" in everything_said(at)) == ([], True)
    at.text_input(key="active_find").set_value(ids[3]).run()
    at.button(key=f"undo-{ids[3]}").click().run()
    assert services.invalidation.find(ids[3]).state is InvalidationState.UNDONE


def test_what_a_person_hid_comes_before_what_programs_hide(open_page, services):
    many_active(services, 15)
    ops = services.audit.by("ops", source="console")
    done = services.invalidation.invalidate(Criteria(model="m"), actor=ops, hold_seconds=3600)
    at = open_page("invalidations")
    keys = [button.key for button in at.button if button.key.startswith("undo-")]
    assert (keys[0], len(keys)) == (f"undo-{done.id}", 11)


def test_what_people_did_is_in_the_history_beside_what_programs_do(open_page, services, monkeypatch):
    monkeypatch.setattr(queries, "MOST_INVALIDATIONS", 10)
    by_ops = services.invalidation.invalidate(Criteria(model="m"), actor=services.audit.by("ops", source="console"))
    many_active(services, 25)
    at = open_page("invalidations")
    assert (len(listed(at)), by_ops.id in set(listed(at)["id"])) == (10, True)
    at.selectbox(key="history_whose").set_value("people").run()
    assert list(listed(at)["id"]) == [by_ops.id]
    at.selectbox(key="history_whose").set_value("programs").run()
    assert set(listed(at)["actor"]) == {"wiki"}


def test_a_link_to_a_job_that_is_gone_says_so(open_page, services):
    assert "The job of this link is gone" in everything_said(open_page("invalidations", job="sweep-none"))


def test_a_link_to_an_invalidation_shows_its_trail(open_page, services, filled):
    ops = services.audit.by("ops@example.org", source="cli")
    done = services.invalidation.invalidate_by_model("gpt-4o-mini", actor=ops)
    services.invalidation.undo(done.id, actor="console")
    at = open_page("invalidations", id=done.id)
    trail = next(frame.value for frame in at.dataframe if "action" in frame.value)
    assert list(trail["action"]) == ["requested", "applied", "undone"]
    assert list(trail["actor"]) == ["ops@example.org", "ops@example.org", "console"]


@pytest.mark.parametrize("name", ["invalidation", "job"])
def test_a_link_with_nonsense_shows_nothing(open_page, services, name):
    at = open_page("invalidations", **{name: "<script>alert(1)</script>"})
    assert not at.exception
    assert "script" not in everything_said(at)


def test_without_a_worker_it_is_said_before_anything_is_applied(open_page, services, filled):
    at = previewed(open_page, model="gpt-4o-mini")
    assert "No worker is alive" in at.warning[0].value
    assert "python -m workers" in at.warning[0].value
    at.button(key="apply").click().run()
    assert at.button(key="confirm")
    assert "answers are hidden at once, but their memory is not freed" in everything_said(at)


def test_with_a_worker_nothing_is_warned_of(open_page, services, filled, a_worker):
    assert not previewed(open_page, model="gpt-4o-mini").warning


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WriteRefused("Redis takes no writes now (OOM)"), "**Not done.** Redis takes no writes now (OOM)."),
        (OutcomeUnknown("Redis did not answer in time"), "**Not known whether it was done.**"),
    ],
)
def test_a_write_that_failed_is_told_plainly(open_page, services, filled, monkeypatch, error, told):
    at = previewed(open_page, model="gpt-4o-mini")

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(services.store, "append", fail)
    at.button(key="apply").click().run()
    at.text_input(key="typed").input("invalidate").run()
    at.button(key="confirm").click().run()
    said = [message.value.replace("\\", "") for message in (*at.error, *at.warning)]
    assert any(told in message for message in said), said


def test_an_unknown_outcome_tried_again_is_done_once(open_page, services, filled, monkeypatch):
    at = previewed(open_page, pattern="What does word 3*")
    original = services.store.append

    def answer_lost(*arguments, **options):
        original(*arguments, **options)
        raise OutcomeUnknown("Redis did not answer in time")

    monkeypatch.setattr(services.store, "append", answer_lost)
    at.button(key="apply").click().run()
    at.button(key="confirm").click().run()
    monkeypatch.setattr(services.store, "append", original)
    at.button(key="apply").click().run()
    at.button(key="confirm").click().run()
    assert len(services.invalidation.active()) == 1
    assert len(services.invalidation.history()) == 1


def test_a_viewer_may_preview_and_change_nothing(open_page, services, filled, viewer):
    done = services.invalidation.invalidate_by_model("gpt-4o", actor="console")
    at = previewed(open_page, model="gpt-4o-mini")
    assert figure(at, "Entries") == "2"
    assert at.button(key="apply").disabled
    assert at.button(key=f"undo-{done.id}").disabled
    assert at.button(key=f"sweep-{done.id}").disabled
    assert "Read only: this needs the role operator, yours is viewer." in everything_said(at)


def test_everything_is_an_admins_business(open_page, services, filled, monkeypatch):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="olga@example.org", role=Role.OPERATOR))
    at = open_page("invalidations")
    at.pills(key="criteria-selectors").set_value(["all"]).run()
    at.button(key="preview").click().run()
    assert at.button(key="apply").disabled
    assert "this needs the role admin, yours is operator" in everything_said(at)


def test_what_amounts_to_everything_is_an_admins_business_too(open_page, services, filled, monkeypatch):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="olga@example.org", role=Role.OPERATOR))
    at = previewed(open_page, pattern="*e*")
    assert at.button(key="apply").disabled
    assert "this needs the role admin, yours is operator" in everything_said(at)
    unseen = previewed(open_page, pattern="*nobody asked this*")
    assert not unseen.button(key="apply").disabled


def test_a_server_that_goes_away_leaves_the_last_values(open_page, use, redis_server, provider, monkeypatch):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        done = built.invalidation.invalidate_by_model("gpt-4o", actor="anna")
        at = filled_form(open_page, pattern="*word*")
        server.kill()
        context.readings().renew()
        at.run()
        assert not at.exception
        assert "You see the last values" in at.error[0].value
        assert list(at.dataframe[-1].value["id"]) == [done.id]
        at.button(key="preview").click().run()
        assert any("No preview." in error.value for error in at.error)
        at.button(key=f"undo-{done.id}").click().run()
        assert any("Not done." in error.value for error in at.error)


def test_a_viewer_is_refused_where_the_write_is_made(services, viewer):
    from pages.components.data import actions

    actions.undo("any")
    assert actions.last("undo").ending is actions.Ending.REFUSED
    assert "needs the role operator" in actions.last("undo").words


def test_a_click_in_the_history_opens_what_was_clicked_whatever_was_done_since(open_page, services, filled):
    for word in ("first", "second"):
        services.invalidation.invalidate(Criteria(keywords=(word,)), actor="anna")
    at = open_page("invalidations")
    first = services.invalidation.history()[1]
    services.invalidation.invalidate(Criteria(keywords=("third",)), actor="anna")
    context.readings().renew()
    select_rows(at, "history", 1)
    at.button(key="open").click().run()
    assert at.query_params["id"] in (first.id, [first.id])


def test_history_is_filtered_by_state_and_person(open_page, services, filled):
    services.invalidation.invalidate_by_model("gpt-4o", actor="anna")
    undone = services.invalidation.invalidate_by_model("gpt-4o-mini", actor="ben")
    services.invalidation.undo(undone.id, actor="ben")
    at = open_page("invalidations")
    assert list(at.dataframe[-1].value["what"]) == ["model gpt-4o-mini", "model gpt-4o"]
    at.selectbox(key="history-actor").select("anna").run()
    assert list(at.dataframe[-1].value["actor"]) == ["anna"]
    at.selectbox(key="history_state").select("undone").run()
    assert "None match." in everything_said(at)


def test_history_is_searched_and_a_link_names_a_state(open_page, services, filled):
    services.invalidation.invalidate_by_model("gpt-4o", actor="anna")
    other = services.invalidation.invalidate_by_pattern("*WORD*", actor="ben")
    at = open_page("invalidations")
    at.text_input(key="history_find").input("word").run()
    assert list(at.dataframe[-1].value["what"]) == ["pattern *WORD*"]
    at.text_input(key="history_find").input(other.id).run()
    assert list(at.dataframe[-1].value["id"]) == [other.id]
    linked = open_page("invalidations", history_state="swept")
    assert "None match." in everything_said(linked)


def test_hostile_text_in_audit_and_prompts_is_shown_as_text_only(open_page, services, ask):
    hostile = "[click](http://example.org) <script>x</script> ![i](http://example.org/i.png) `tick`"
    ask(hostile)
    services.invalidation.invalidate(Criteria(model=hostile), actor=hostile)
    at = previewed(open_page, pattern="*click*")
    assert not at.exception
    for element in (*at.caption, *at.markdown, *at.error, *at.info, *at.warning):
        text = str(element.value)
        outside_of_code = re.sub(r"(`+) ?[^`].*?\1", "", text)
        assert "http://example.org" not in outside_of_code, text


def test_an_active_one_whose_hold_is_over_waits_for_a_worker(open_page, services, filled):
    services.invalidation.invalidate(
        Criteria(model="gpt-4o"), actor="console", hold_seconds=0, request_id=f"r{int(time.time())}"
    )
    at = open_page("invalidations")
    assert "No worker is alive to delete the hidden answers." in everything_said(at)


def test_an_invalidation_that_is_refused_without_writes_offers_the_bypass_switch(
    open_page, services, ask, filled, pages_server, monkeypatch
):
    monkeypatch.setattr(services.switch, "_pause", lambda seconds: None)
    at = previewed(open_page, key=filled[0].key)
    with pages_server.client() as client:
        cannot_save(client)
        try:
            at = at.button(key="apply").click().run()
            assert "Redis takes no writes now (MISCONF)" in everything_said(at).replace("\\", "")
            assert is_hit(ask, "What does word 0 mean?")
            at = at.button(key="bypass-on").click().run()
            assert re.search(r"Requests of .?default.? bypass the cache", everything_said(at))
            assert ask("What does word 0 mean?").outcome.kind is OutcomeKind.BYPASS
        finally:
            can_save(client)
            client.config_set("save", "")  # else it would not end before it has saved
    name = services.settings.namespace
    at = at.button(key=f"bypass-off-{name}").click().run()
    assert services.switch.all([name]) == []
    services.switch._recent.forget()
    assert is_hit(ask, "What does word 0 mean?")


# All namespaces


@pytest.fixture
def teams(ask):
    """An answer in each of three namespaces."""
    for namespace in ("default", "bank", "blog"):
        ask("How do refunds work?", namespace=namespace)
    return ("default", "bank", "blog")


def refuse(services, namespace):
    """Has a namespace refuse the next pattern, keyword or age."""
    for number in range(MOST_LISTED):
        criteria = Criteria(namespace=namespace, pattern=f"*none of these {number}*")
        services.invalidation.invalidate(criteria, actor="program")


def of_all(services):
    return [one for one in services.invalidation.history() if one.parts]


def test_all_namespaces_are_previewed_one_by_one_and_invalidated_with_one_confirmation(open_page, services, teams, ask):
    at = previewed(open_page, model="gpt-4o", namespace="*")
    assert figure(at, "Entries") == "3"
    parts = next(frame.value for frame in at.dataframe if "entries" in frame.value)
    assert sorted(parts["namespace"]) == sorted(teams)
    assert set(parts["entries"]) == {"1 of 1"}
    said = everything_said(at).replace("\\", "")
    assert "3 namespaces, all that exist now. Namespaces made later are not affected." in said
    at.button(key="apply").click().run()
    assert of_all(services) == []
    at.text_input(key="typed").input("invalidate").run()
    at.button(key="confirm").click().run()
    [done] = of_all(services)
    assert {part.namespace: part.state for part in done.parts} == dict.fromkeys(teams, InvalidationState.HELD)
    assert "3 entries are hidden from every lookup now, in 3 namespaces." in at.success[0].value.replace("\\", "")
    assert not any(is_hit(ask, "How do refunds work?", namespace=namespace) for namespace in teams)
    rows = next(frame.value for frame in at.dataframe if "reason" in frame.value)
    assert list(rows["namespace_label"]) == ["all namespaces"]
    at.button(key=f"undo-{done.id}").click().run()
    assert all(is_hit(ask, "How do refunds work?", namespace=namespace) for namespace in teams)
    assert "Undone in 3 namespaces" in everything_said(at)


def test_a_namespace_that_refuses_it_is_told_and_the_others_keep_it(open_page, services, teams, ask):
    refuse(services, "bank")
    at = previewed(open_page, older_than_days="0.0000001", namespace="*")
    at.button(key="apply").click().run()
    at.text_input(key="typed").input("invalidate").run()
    at.button(key="confirm").click().run()
    said = everything_said(at).replace("\\", "")
    assert "Not in all namespaces." in said
    assert "2 entries are hidden from every lookup now, in 2 of 3 namespaces. bank: 64 invalidations by pattern" in said
    assert is_hit(ask, "How do refunds work?", namespace="bank")
    [done] = of_all(services)
    rows = next(frame.value for frame in at.dataframe if "reason" in frame.value)
    assert "hidden, can be undone (2 of 3 namespaces)" in set(rows["state"])
    at = open_page("invalidations", id=done.id)
    parts = next(
        frame.value for frame in at.dataframe if set(frame.value) >= {"problem", "previewed", "namespace_label"}
    )
    assert next(iter(parts["namespace"])) == "bank"
    assert list(parts["state"]) == ["refused", "hidden, can be undone", "hidden, can be undone"]
    assert parts["problem"][0].startswith("64 invalidations by pattern")


def test_all_namespaces_are_an_admins_to_choose(open_page, services, teams, monkeypatch):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="otto", role=Role.OPERATOR))
    at = open_page("invalidations", model="gpt-4o", namespace="*")
    assert at.selectbox(key="namespace").value != "*"
    assert "All namespaces" not in at.selectbox(key="namespace").options
    monkeypatch.setattr(context, "actor", lambda: Actor(name="ada", role=Role.ADMIN))
    at = open_page("invalidations", model="gpt-4o", namespace="*")
    assert at.selectbox(key="namespace").value == "*"


def test_the_key_of_an_entry_is_in_one_namespace(open_page, services, teams):
    at = open_page("invalidations", key=f"0-{'ab' * 32}", namespace="*")
    assert at.button(key="preview").disabled
    assert "an entry is in one namespace" in everything_said(at)


def test_a_sweep_now_of_all_namespaces_is_queued_in_each(open_page, services, teams, queue):
    done = services.invalidation.invalidate(Criteria(namespace="*", model="gpt-4o"), actor=context.trail())
    at = open_page("invalidations")
    at.button(key=f"sweep-{done.id}").click().run()
    at.button(key="sweep-confirm").click().run()
    assert "3 sweeps are queued." in everything_said(at).replace("\\", "")
    assert [job.kind for job in queue.jobs()] == ["sweep"] * 3


def test_the_tags_that_are_known_are_suggested(open_page, services, ask):
    ask("What is a cat?", tags=("doc:1", "cats"))
    at = open_page("invalidations")
    at.pills(key="criteria-selectors").set_value(["tags"]).run()
    assert at.multiselect(key="criteria-tags").options == ["cats (1)", "doc:1 (1)"]
    at.multiselect(key="criteria-tags").set_value(["cats"]).run()
    assert not at.exception
    assert not at.button(key="preview").disabled
