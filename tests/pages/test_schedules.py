"""Schedules: listed with what they did and do next, added, paused, run and removed by those who may."""

from __future__ import annotations

import re
import time

import msgspec
import pytest

from core.access.roles import Actor, Role
from core.bootstrap import bootstrap
from core.invalidation.definition import Definition
from core.invalidation.history import InvalidationState
from core.models import OutcomeKind
from core.settings import Settings
from pages.components.data import context
from tests.pages.conftest import everything_said

DAY = 86_400


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone who may change what is small."""
    monkeypatch.setattr(context, "actor", lambda: Actor(name="olga@example.org", role=Role.OPERATOR))


def add(services, **fields):
    given = {"namespace": "default", "actor": "anna", "name": "Nightly", "daily_at": "03:00"}
    if "every_seconds" in fields:
        del given["daily_at"]
    if "criteria" not in fields:
        given["older_than_seconds"] = 7 * DAY
    return services.schedules.add(**given | fields)


def filled(at, name="Nightly"):
    """The form with the words of the example and a name."""
    at.button(key="schedule-example").click().run()
    return at.text_input(key="schedule-name").input(name).run()


def confirmed(at):
    if [field for field in at.text_input if field.key == "typed"]:
        at.text_input(key="typed").input("invalidate").run()
    return at.button(key="schedule-confirm").click().run()


def said(at):
    return everything_said(at).replace("\\", "")


# What there is


def test_without_any_it_explains_what_one_is_good_for(open_page, services):
    at = open_page("schedules")
    assert "older than 7 days, every night at 03:00" in said(at)
    assert at.button(key="schedule-add").disabled
    assert "python -m workers" in at.warning[0].value


def test_the_example_fills_the_form_and_adds_nothing(open_page, services):
    at = open_page("schedules")
    at.button(key="schedule-example").click().run()
    assert at.text_input(key="schedule-name").value == "", "the name of what somebody else needs would stay"
    assert (at.number_input(key="criteria-age").value, at.selectbox(key="criteria-unit").value) == (7, "days")
    assert f"{at.time_input(key='schedule-at').value:%H:%M}" == "03:00"
    assert "Give it a name" in said(at)
    assert not at.text_input(key="schedule-name").input("Weekly").run().button(key="schedule-add").disabled
    assert services.schedules.all() == []


def test_one_tells_what_when_and_by_whom(open_page, services, a_worker):
    add(services, hold_seconds=900)
    at = open_page("schedules")
    told = said(at)
    for words in ("`Nightly`", "`older than 7 d`", "daily at 03:00 UTC", "by `anna`", "never", "for 15 min"):
        assert words in told
    assert re.search(r"in \d+ (h|min|s)", told)
    assert not at.warning


def test_the_last_run_tells_what_it_did(open_page, services, ask):
    ask("What is a cat?")
    schedule = add(services, criteria={"model": "gpt-4o"}, hold_seconds=0)
    done = services.schedules.run_now(schedule.id, actor=services.audit.by("anna", source="cli"))
    assert "hidden, can be undone" in said(open_page("schedules"))
    services.invalidation.sweep("default", rest=0)
    context.readings().renew()
    at = open_page("schedules")
    for opened in (at, open_page("schedules", alone=True)):
        assert not opened.exception
        assert "swept: 1 entry deleted" in said(opened)
    at.button(key=f"last-{schedule.id}").click().run()
    assert at.query_params["id"] == done.id
    assert [heading.value for heading in at.title] == ["Invalidations"]


def test_a_run_that_was_refused_says_why(open_page, services):
    schedule = add(services)
    services.schedules._change(schedule.id, last_run_at=time.time(), last="not applied: 64 invalidations are active")
    assert "not applied: 64 invalidations are active" in said(open_page("schedules"))


def test_a_missed_run_is_due_and_a_missing_worker_is_told(open_page, services):
    schedule = add(services, every_seconds=60)
    services.schedules._change(schedule.id, last_run_at=time.time() - 120)
    at = open_page("schedules")
    assert "due now" in said(at)
    assert "no schedule runs" in at.warning[0].value


def test_many_can_be_searched(open_page, services):
    for number in range(25):
        add(services, name=f"Job {number}")
    at = open_page("schedules")
    assert "And 5 more" in said(at)
    at.text_input(key="schedule-find").input("job 24").run()
    assert "`Job 24`" in said(at)
    assert "`Job 23`" not in said(at)
    at.text_input(key="schedule-find").input("nothing").run()
    assert "None match." in said(at)


def test_text_from_outside_is_shown_as_text_only(open_page, services):
    hostile = "[click](http://example.org) <script>x</script> `tick`"
    add(services, name=hostile, actor=hostile, criteria={"model": hostile, "pattern": f"*{hostile}*"})
    at = open_page("schedules")
    at.button(key=f"run-{services.schedules.all()[0].id}").click().run()
    assert not at.exception
    for element in (*at.caption, *at.markdown, *at.error, *at.info, *at.warning):
        outside_of_code = re.sub(r"(`+) ?[^`].*?\1", "", str(element.value))
        assert "http://example.org" not in outside_of_code, element.value


# Adding


def test_a_new_one_is_confirmed_with_what_it_would_hide_now(open_page, services, ask):
    ask("What is a cat?")
    at = filled(open_page("schedules"), "Old answers")
    at.button(key="schedule-add").click().run()
    assert "Now it would hide **0 entries**" in said(at)
    assert "older than 7 days in default" in [code.value for code in at.code]
    assert services.schedules.all() == []
    confirmed(at)
    [added] = services.schedules.all()
    assert (added.name, added.older_than_seconds, added.daily_at, added.criteria, added.actor, added.hold_seconds) == (
        "Old answers",
        7 * DAY,
        "03:00",
        {},
        "console",
        None,
    )
    assert "Added. It runs daily at 03:00 UTC" in at.success[0].value.replace("\\", "")
    assert at.text_input(key="schedule-name").value == "", "the form is ready for the next one"
    [record] = services.audit.records(action="schedule.created")
    assert (record.source, record.details["schedule"]) == ("console", added.id)


def test_a_rhythm_a_selection_and_an_effect_of_its_own(open_page, services, ask):
    ask("What is a cat?")
    at = open_page("schedules")
    at.text_input(key="schedule-name").input("Models").run()
    at.pills(key="criteria-selectors").set_value(["model", "age"]).run()
    at.selectbox(key="criteria-model").select("gpt-4o").run()
    assert "Say how old" in said(at)
    at.number_input(key="criteria-age").set_value(2).run()
    at.segmented_control(key="schedule-rhythm").set_value("At an interval").run()
    at.number_input(key="schedule-every").set_value(90).run()
    at.selectbox(key="schedule-unit").select("minutes").run()
    at.segmented_control(key="soft").set_value(True).run()
    at.button(key="schedule-add").click().run()
    assert "model gpt-4o, older than 2 days in default" in [code.value for code in at.code]
    confirmed(at)
    [added] = services.schedules.all()
    assert (added.criteria, added.older_than_seconds, added.every_seconds, added.soft) == (
        {"model": "gpt-4o"},
        2 * DAY,
        5400,
        True,
    )


def test_a_cancelled_dialog_adds_nothing_and_stays_closed(open_page, services):
    at = filled(open_page("schedules"))
    at.button(key="schedule-add").click().run()
    at.button(key="schedule-cancel").click().run()
    at.run()
    assert "schedule-asked" not in at.session_state
    assert services.schedules.all() == []


def test_much_of_the_cache_takes_the_typed_word(open_page, services, ask):
    ask("What is a cat?")
    at = open_page("schedules")
    at.text_input(key="schedule-name").input("All").run()
    at.pills(key="criteria-selectors").set_value(["all"]).run()
    at.button(key="schedule-add").click().run()
    assert at.button(key="schedule-confirm").disabled
    confirmed(at)
    assert services.schedules.all()[0].criteria == {"all": True}


def test_a_name_that_is_taken_is_refused(open_page, services):
    at = open_page("schedules")
    at = filled(at)
    add(services)
    at.button(key="schedule-add").click().run()
    confirmed(at)
    assert "another schedule has it" in at.error[0].value
    assert len(services.schedules.all()) == 1
    assert at.text_input(key="schedule-name").value == "Nightly", "what was typed stays"


def test_one_may_run_on_some_days_of_the_week_only(open_page, services):
    at = filled(open_page("schedules"))
    at.segmented_control(key="schedule-on").set_value("Some days").run()
    assert list(at.pills(key="schedule-days").value) == [], "one day is one click"
    assert "Choose a day on which it runs" in said(at)
    assert at.button(key="schedule-add").disabled
    at.pills(key="schedule-days").set_value(["wed", "mon"]).run()
    at.button(key="schedule-add").click().run()
    assert "runs Mon, Wed at 03:00 UTC" in said(at)
    confirmed(at)
    [added] = services.schedules.all()
    assert added.weekdays == ("mon", "wed")
    assert "Mon, Wed at 03:00 UTC" in said(at)


def test_the_next_schedule_begins_with_an_empty_form(open_page, services):
    at = filled(open_page("schedules"))
    at.segmented_control(key="schedule-on").set_value("Some days").run()
    at.pills(key="schedule-days").set_value(["wed"]).run()
    at.segmented_control(key="soft").set_value(True).run()
    at.button(key="schedule-add").click().run()
    confirmed(at)
    assert len(services.schedules.all()) == 1
    assert at.text_input(key="schedule-name").value == ""
    assert at.pills(key="criteria-selectors").value == []
    assert at.segmented_control(key="schedule-on").value == "Every day"
    assert at.segmented_control(key="soft").value is False
    at.pills(key="criteria-selectors").set_value(["age"]).run()
    assert at.number_input(key="criteria-age").value is None


# Editing


def edited(open_page, schedule):
    at = open_page("schedules")
    return at.button(key=f"edit-{schedule.id}").click().run()


def test_an_edit_shows_what_it_has_and_saves_what_was_changed(open_page, services, ask):
    ask("What is a cat?")
    schedule = add(
        services,
        criteria={"model": "gpt-4o", "keywords": ["cat", "dog"], "keyword_mode": "all", "tags": ["doc:1"]},
        older_than_seconds=2 * DAY,
        weekdays=("mon", "fri"),
        hold_seconds=900,
        reason="Rates change",
    )
    at = edited(open_page, schedule)
    assert not at.exception
    assert [heading.value for heading in at.subheader] == ["Edit `Nightly`"]
    assert at.text_input(key="schedule-name").value == "Nightly"
    assert at.pills(key="criteria-selectors").value == ["model", "age", "keywords", "tags"]
    assert (at.number_input(key="criteria-age").value, at.selectbox(key="criteria-unit").value) == (2, "days")
    assert at.pills(key="schedule-days").value == ["mon", "fri"]
    assert at.selectbox(key="hold").value == "15 min"
    assert at.text_input(key="schedule-reason").value == "Rates change"
    at.text_input(key="schedule-name").input("Weekly").run()
    at.pills(key="schedule-days").set_value(["sun"]).run()
    at.button(key="schedule-add").click().run()
    assert "Until now: `model gpt-4o" in said(at)
    assert "Mon, Fri at 03:00 UTC, hides; can be undone for 15 min" in said(at)
    assert services.schedules.all() == [schedule]
    confirmed(at)
    [kept] = services.schedules.all()
    assert (kept.id, kept.name, kept.weekdays, kept.reason) == (schedule.id, "Weekly", ("sun",), "Rates change")
    assert (kept.criteria, kept.older_than_seconds, kept.hold_seconds) == (schedule.criteria, 2 * DAY, 900)
    assert "Changed. It runs Sun at 03:00 UTC" in said(at)
    assert [heading.value for heading in at.subheader] == ["New schedule"]
    assert at.text_input(key="schedule-name").value == ""
    [record] = services.audit.records(action="schedule.edited")
    assert record.details["after"] == {"name": "Weekly", "weekdays": ["sun"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"every_seconds": 61},
        {"every_seconds": 6 * 3600, "soft": True, "hold_seconds": 0},
        {"criteria": {"all": True}},
        {"criteria": {"key": f"0-{'a' * 64}"}},
        {"criteria": {"pattern": "*cat*", "user": f"u-{'0' * 32}"}, "namespace": "shop"},
        {"older_than_seconds": 90, "hold_seconds": DAY},
    ],
    ids=str,
)
def test_an_edit_that_changes_the_name_changes_nothing_else(open_page, services, fields):
    schedule = add(services, **fields)
    at = edited(open_page, schedule)
    at.text_input(key="schedule-name").input("Another").run()
    at.button(key="schedule-add").click().run()
    confirmed(at)
    assert not at.exception
    [kept] = services.schedules.all()
    assert kept == msgspec.structs.replace(schedule, name="Another")


def test_an_edit_is_left_without_a_change(open_page, services):
    schedule = add(services)
    at = edited(open_page, schedule)
    at.button(key="schedule-stop-editing").click().run()
    assert [heading.value for heading in at.subheader] == ["New schedule"]
    assert services.schedules.all() == [schedule]


def test_one_that_was_changed_meanwhile_is_not_overwritten(open_page, services):
    schedule = add(services)
    at = edited(open_page, schedule)
    at.text_input(key="schedule-name").input("Mine").run()
    services.schedules.edit(schedule.id, actor="anna", name="Theirs")
    at.button(key="schedule-add").click().run()
    confirmed(at)
    assert "it was changed after it was shown" in at.error[0].value
    assert services.schedules.get(schedule.id).name == "Theirs"


# What can be done with one


def test_one_is_paused_and_resumed(open_page, services):
    schedule = add(services)
    at = open_page("schedules")
    at.button(key=f"pause-{schedule.id}").click().run()
    assert not services.schedules.get(schedule.id).enabled
    assert "1 schedule, 1 of them paused" in said(at)
    at.button(key=f"resume-{schedule.id}").click().run()
    assert services.schedules.get(schedule.id).enabled


def test_one_is_removed_after_a_question(open_page, services):
    schedule = add(services)
    at = open_page("schedules")
    at.button(key=f"remove-{schedule.id}").click().run()
    assert len(services.schedules.all()) == 1
    confirmed(at)
    assert services.schedules.all() == []
    assert "No schedules yet" in said(at)


def test_running_one_now_shows_what_it_hides_and_does_it(open_page, services, ask):
    ask("What is a cat?")
    schedule = add(services, criteria={"model": "gpt-4o"})
    at = open_page("schedules")
    at.button(key=f"run-{schedule.id}").click().run()
    assert "It hides at once **1 entry**: 100 % of what is stored in **`default`**." in said(at)
    assert "A run can be undone for 12 h" in said(at)
    assert "undoing the latest brings back what both hid" in said(at)
    assert services.invalidation.history() == []
    confirmed(at)
    [done] = services.invalidation.history()
    assert (done.state, done.actor) == (InvalidationState.HELD, "console")
    assert ask("What is a cat?").outcome.kind is OutcomeKind.MISS
    assert "What matches is hidden" in at.success[0].value


def test_one_that_has_run_meanwhile_is_not_run_again(open_page, services):
    schedule = add(services, criteria={"model": "gpt-4o"})
    at = open_page("schedules")
    at.button(key=f"run-{schedule.id}").click().run()
    services.schedules.run_now(schedule.id, actor="anna")
    confirmed(at)
    assert "it has run since" in at.error[0].value
    assert len(services.invalidation.history()) == 1


def test_one_that_is_gone_meanwhile_is_told(open_page, services):
    schedule = add(services)
    at = open_page("schedules")
    services.schedules.remove(schedule.id, actor="anna")
    at.button(key=f"pause-{schedule.id}").click().run()
    assert "no schedule has the id" in at.error[0].value


# Who may


def test_a_viewer_sees_and_can_do_nothing(open_page, services, viewer):
    schedule = add(services)
    at = open_page("schedules")
    for name in ("run", "edit", "pause", "remove"):
        assert at.button(key=f"{name}-{schedule.id}").disabled
    assert at.button(key="schedule-add").disabled
    assert "Read only: this needs the role operator, yours is viewer." in said(at)


def test_everything_is_an_admins_business(open_page, services, operator):
    everything = add(services, name="All", criteria={"all": True})
    some = add(services, name="Some")
    at = open_page("schedules")
    assert at.button(key=f"run-{everything.id}").disabled
    assert not at.button(key=f"run-{some.id}").disabled
    assert not at.button(key=f"pause-{everything.id}").disabled, "it can always be stopped"
    at.pills(key="criteria-selectors").set_value(["all"]).run()
    assert at.button(key="schedule-add").disabled
    assert "Read only: this needs the role admin, yours is operator." in said(at)


def test_who_may_not_is_refused_where_the_write_is_made(services, operator):
    from core.bans.criteria import Criteria
    from pages.components.data import actions

    everything = add(services, criteria={"all": True})
    actions.run_schedule(everything)
    assert "needs the role admin" in actions.last("schedule").words
    actions.resume_schedule(everything)
    assert "needs the role admin" in actions.last("schedule").words
    actions.add_schedule(
        Criteria(all=True), Definition(name="All", every_seconds=60, hold_seconds=0), namespace="default"
    )
    actions.edit_schedule(everything, Criteria(all=True), Definition(name="Mine", every_seconds=60))
    assert actions.last("schedule").ending is actions.Ending.REFUSED
    assert services.invalidation.history() == []
    assert services.schedules.all() == [everything]


# Without what it needs


def test_without_redis_it_says_that_schedules_need_one(open_page, use, provider, monkeypatch, tmp_path):
    monkeypatch.delenv("ENCORE_REDIS_URL", raising=False)
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        at = open_page("schedules")
        assert not at.exception
        assert "No schedules without Redis" in said(at)
        assert [button.key for button in at.button] == ["bypass-open"]


def test_a_server_that_goes_away_leaves_the_last_values(open_page, use, redis_server, provider, monkeypatch):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    with bootstrap(Settings(), provider=provider) as built:
        use(built)
        schedule = add(built)
        at = open_page("schedules")
        server.kill()
        context.readings().renew()
        at.run()
        assert not at.exception
        assert "Redis cannot be reached, since " in at.error[0].value
        assert "`Nightly`" in said(at)
        at.button(key=f"run-{schedule.id}").click().run()
        assert at.button(key="schedule-confirm").disabled
        assert "No preview." in said(at)
        at.button(key="schedule-cancel").click().run()
        at.button(key=f"pause-{schedule.id}").click().run()
        assert any("Not done." in message.value for message in at.error)
