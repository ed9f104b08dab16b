"""Labels of namespaces in the console: given on Health by an admin, shown on every page with the id beside them."""

from __future__ import annotations

import csv
import io

import pytest

from core.access import Actor, Role
from core.bans import Criteria
from core.bootstrap import bootstrap
from core.metrics import RequestFilter
from core.namespaces import NamespaceLabel
from core.settings import Settings
from pages.components.data import context, queries
from pages.components.display import tables
from pages.components.display.text import plain
from pages.components.invalidations import tables as invalidation_tables
from tests.metrics.outcomes import a_hit
from tests.pages.conftest import everything_said

KEY = "key-3f9a12cd7788990011e4b1c2"
OTHER = "key-3f9a12cd77ffffff0011b1c2"
HOSTILE = "=1+1 **b** <i> `x` :red[y]"


def listed(at):
    """The table of namespaces."""
    [found] = [table.value for table in at.dataframe if "source" in table.value.columns]
    return found.set_index("namespace")


def test_every_namespace_is_listed_with_what_it_is_called(open_page, services, ask):
    ask("What is a card?", namespace=KEY)
    services.labels.give(KEY, "Support", owner="team-support", colour="blue", actor="ada")
    at = open_page("health")
    assert not at.exception
    assert dict(listed(at).loc[KEY]) == {
        "name": "Support", "owner": "team-support", "colour": "blue", "source": "an admin",
    }  # fmt: skip
    assert listed(at).loc["default", "source"] == ""
    assert at.button(key="namespace-label").disabled, "nothing is selected"


def opened(open_page, namespace):
    at = open_page("health")
    at.session_state["namespace-asked"] = namespace
    return at.run()


def test_an_admin_gives_and_takes_a_label(open_page, services):
    at = opened(open_page, "default")
    at.text_input(key="label-default").input(HOSTILE)
    at.text_input(key="owner-default").input("team-shop")
    at.button_group(key="colour-default").set_value("green")
    at.button(key="label-save").click().run()
    assert not at.exception
    assert services.labels.get("default") == NamespaceLabel(label=HOSTILE, owner="team-shop", colour="green")
    assert listed(at).loc["default", "name"] == HOSTILE
    [record] = services.audit.records(action="namespace.labelled")
    assert (record.actor, record.source, record.namespace) == ("console", "console", "default")
    at = opened(open_page, "default")
    assert at.text_input(key="label-default").value == HOSTILE
    at.button(key="label-remove").click().run()
    assert services.labels.get("default") is None


def test_what_is_refused_stays_in_the_dialog_with_the_reason(open_page, services):
    at = opened(open_page, "default")
    at.text_input(key="label-default").input("a~b")
    at.button(key="label-save").click().run()
    assert any("names of namespaces" in error.value for error in at.error)
    assert at.button(key="label-save")
    assert services.labels.all() == {}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_it_takes_an_admin(open_page, services, monkeypatch, role):
    monkeypatch.setattr(context, "actor", lambda: Actor(name="vera@example.org", role=role))
    at = open_page("health")
    assert at.button(key="namespace-label").disabled
    assert "this needs the role admin" in everything_said(at)
    at = opened(open_page, "default")
    at.text_input(key="label-default").input("Shop")
    at.button(key="label-save").click().run()
    assert services.labels.all() == {}, "the page is no guard"
    assert any("needs the role admin" in error.value for error in at.error)


def test_a_label_of_the_settings_is_changed_there(open_page, pages_server, provider, use):
    labels = {"default": {"label": "Help"}}
    with bootstrap(Settings(redis_url=pages_server.url, namespace_labels=labels), provider=provider) as built:
        use(built)
        at = opened(open_page, "default")
        assert listed(at).loc["default", "source"] == "the settings"
        assert any("ENCORE_NAMESPACE_LABELS" in note.value for note in at.info)
        assert not [button for button in at.button if button.key == "label-save"]


def test_many_can_be_searched_by_label_owner_and_id(open_page, services):
    for number in range(12):
        services.labels.give(f"n{number}", f"Team {number}", owner=f"owner-{number}", actor="ada")
    at = open_page("health")
    for text, found in (("team 11", ["n11"]), ("OWNER-3", ["n3"]), ("default", ["default"])):
        at.text_input(key="namespace-find").input(text).run()
        assert list(listed(at).index) == found
    at.text_input(key="namespace-find").input("nobody").run()
    assert "None match." in everything_said(at)


def test_without_redis_the_last_names_stay(open_page, services, ask, monkeypatch):
    ask("What is a card?", namespace=KEY)
    services.labels.give(KEY, "Support", actor="ada")
    at = open_page("health")
    context.readings().renew()

    def silent(*_):
        raise context.StoreUnavailable("Redis does not answer")

    monkeypatch.setattr(services.labels, "all", silent)
    assert listed(at.run()).loc[KEY, "name"] == "Support"


# Everywhere


@pytest.fixture
def labelled(services, ask):
    """Two namespaces that begin alike, one of them with a label, each with an entry, a request and an invalidation."""
    for namespace in (KEY, OTHER):
        ask("What is a card?", namespace=namespace)
        services.metrics.record(a_hit(namespace=namespace))
        services.schedules.add(
            namespace=namespace, actor="ada", name=f"of {namespace}", criteria={"tags": ["x"]}, every_seconds=3600
        )
        services.invalidation.invalidate(
            services.invalidation.preview(_criteria(namespace)).criteria, actor="ada", hold_seconds=300
        )
    services.switch.turn(KEY, True, actor="ada")
    services.metrics.flush()
    services.labels.give(KEY, HOSTILE, owner=HOSTILE, colour="violet", actor="ada")
    yield services
    services.switch.turn(KEY, False, actor="ada")


def _criteria(namespace):
    return Criteria(namespace=namespace, tags=("x",))


SHORT = "key-3f9a12cd77f…b1c2"


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("dashboard", {}),
        ("requests", {}),
        ("invalidations", {}),
        ("schedules", {}),
        ("playground", {}),
        ("entries", {"namespace": KEY}),
        ("quality", {}),
        ("workers", {}),
        ("health", {}),
    ],
)
def test_no_page_shows_a_labelled_namespace_by_its_id_alone(open_page, labelled, page, parameters):
    at = open_page(page, **parameters)
    assert not at.exception
    said = everything_said(at)
    assert plain(HOSTILE) in said, "the banner of the bypass switch names it"
    assert "key-3f9a12cd77…b1c2" not in said, "two would look alike"
    # Names of schedules; and what the doctor says, whose remedy is a command.
    words = said.replace(f"of {KEY}", "").replace(f"of {OTHER}", "").replace(f"{HOSTILE} ({KEY})", "")
    words = words.replace(f"--namespace {KEY}", "").replace(f"\\-\\-namespace {plain(KEY)}", "")
    assert KEY not in words
    assert OTHER not in words


@pytest.mark.parametrize("page", ["invalidations", "schedules"])
def test_cards_name_both_so_that_they_are_told_apart(open_page, labelled, page):
    said = everything_said(open_page(page))
    assert f"in {plain(HOSTILE)}" in said
    assert f"in `{SHORT}`" in said


def test_the_form_of_an_invalidation_offers_names_and_keeps_the_id(open_page, labelled):
    at = open_page("invalidations")
    chosen = at.selectbox(key="namespace")
    assert set(chosen.options) == {"All namespaces", "default", HOSTILE, SHORT}
    other = OTHER if chosen.value == KEY else KEY
    chosen.set_value(other).run()
    assert at.query_params["namespace"] in (other, [other])


def test_csv_of_requests_and_invalidations_has_both_columns_and_no_formula(labelled):
    records = labelled.metrics.recent(10, RequestFilter(namespace=KEY))
    naming = queries.naming()
    found = tables.csv(tables.requests([(record, None) for record in records], naming)).decode()
    rows = list(csv.DictReader(io.StringIO(found, newline="")))
    assert {(row["namespace"], row["namespace_label"]) for row in rows} == {(KEY, f"'{HOSTILE}")}
    done = labelled.invalidation.history(limit=10)
    table = invalidation_tables.invalidations(done, dict.fromkeys((one.state for one in done), "held"), {}, naming)
    rows = list(csv.DictReader(io.StringIO(tables.csv(table).decode(), newline="")))
    assert {(row["namespace"], row["namespace_label"]) for row in rows} == {(KEY, f"'{HOSTILE}"), (OTHER, SHORT)}
