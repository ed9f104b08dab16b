"""Request controls from headers and from the body."""

from contextlib import suppress

import pytest

from core.errors import InvalidInput
from core.inbound.controls import controls_from_headers, controls_from_object
from core.models import NO_CONTROLS, CacheStrategy, Controls, Default, For, NoStore
from tests.growth import grows_with_the_square


@pytest.mark.parametrize(
    ("headers", "controls"),
    [
        ({}, NO_CONTROLS),
        ({"Content-Type": "application/json", "X-Request-Id": "1"}, NO_CONTROLS),
        ({"Cache-Control": "no-cache"}, Controls(no_cache=True)),
        ({"cache-control": "No-Store"}, Controls(no_store=True)),
        ({"CACHE-CONTROL": "only-if-cached, max-age=0"}, Controls(only_if_cached=True, max_age=0.0)),
        ({"Cache-Control": " ,no-cache ,, max-age=60 , "}, Controls(no_cache=True, max_age=60.0)),
        ({"Cache-Control": 'max-age="60"'}, Controls(max_age=60.0)),
        ({"Cache-Control": "max-age=60, max-age=30, max-age=90"}, Controls(max_age=30.0)),
        ({"Cache-Control": "max-age=99999999999999999999"}, Controls(max_age=315_360_000.0)),
        ({"Cache-Control": "stale-if-error=600"}, Controls(stale_if_error=600.0)),
        ({"Cache-Control": 'no-transform, min-fresh=5, x="no-store, no-cache", no-cache=1'}, Controls(no_cache=True)),
        ({"Cache-Control": r'x="a\", no-store", max-age=1'}, Controls(max_age=1.0)),
        ({"Cache-Control": ""}, NO_CONTROLS),
        ({"X-Encore-TTL": "3600"}, Controls(ttl=For(3600.0))),
        ({"x-encore-ttl": " 1.5 "}, Controls(ttl=For(1.5))),
        ({"X-Encore-TTL": "0"}, Controls(ttl=NoStore())),
        ({"X-Encore-Namespace": "team.a_b-1"}, Controls(namespace="team.a_b-1")),
        ({"X-Encore-Strategy": "Exact"}, Controls(strategy=CacheStrategy.EXACT)),
        ({"X-Encore-Threshold": "0.98"}, Controls(threshold=0.98)),
        ({"X-Encore-Tags": "doc:1, doc:2,,doc:1"}, Controls(tags=("doc:1", "doc:2"))),
        ({"X-Encore-User": "u-7"}, Controls(user="u-7")),
        # As bytes of UTF-8 stand in a header that is read as Latin-1, and as those of Latin-1 do.
        ({"X-Encore-Tags": "wiki:Zürich".encode().decode("latin-1")}, Controls(tags=("wiki:Zürich",))),
        ({"X-Encore-Tags": "wiki:Zürich"}, Controls(tags=("wiki:Zürich",))),
        ({"X-Encore-User": "zoë@x, 東京".encode().decode("latin-1")}, Controls(user="zoë@x, 東京")),
    ],
)
def test_headers_become_controls(headers: dict[str, str], controls: Controls) -> None:
    assert controls_from_headers(headers) == controls


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X-Encore-TTL": "-1"}, "X-Encore-TTL: give a number"),
        ({"X-Encore-TTL": "1e5"}, "X-Encore-TTL: give a number"),
        ({"X-Encore-TTL": "nan"}, "X-Encore-TTL: give a number"),
        ({"X-Encore-TTL": "٣"}, "X-Encore-TTL: give a number"),
        ({"X-Encore-TTL": "60, 30"}, "X-Encore-TTL: give a number"),
        ({"X-Encore-TTL": "0.5"}, "X-Encore-TTL: give seconds between 1"),
        ({"X-Encore-TTL": "9999999999"}, "X-Encore-TTL: give seconds between 1"),
        ({"X-Encore-TTL": ""}, "X-Encore-TTL: is empty"),
        ({"X-Encore-Threshold": "1.01"}, "X-Encore-Threshold: give a cosine"),
        ({"X-Encore-Threshold": "0"}, "X-Encore-Threshold: give a cosine"),
        ({"X-Encore-Threshold": "high"}, "X-Encore-Threshold: give a number"),
        ({"X-Encore-Strategy": "fuzzy"}, "X-Encore-Strategy: is one of exact, normalized, semantic"),
        ({"X-Encore-Namespace": "a:b"}, "X-Encore-Namespace: use 1 to 64"),
        ({"X-Encore-Namespace": "a}{b"}, "X-Encore-Namespace: use 1 to 64"),
        ({"X-Encore-Namespace": "n" * 65}, "X-Encore-Namespace: use 1 to 64"),
        ({"X-Encore-Tags": "t" * 257}, "X-Encore-Tags: give at most"),
        ({"X-Encore-Tags": ",".join(map(str, range(33)))}, "X-Encore-Tags: give at most"),
        ({"X-Encore-User": "u" * 257}, "X-Encore-User: give 1 to"),
        ({"X-Encore-Namspace": "a"}, "X-Encore-Namspace: no such control"),
        ({"X-Encore-TTL": "1", "x-encore-ttl": "2"}, "X-Encore-TTL: is given twice"),
        ({"Cache-Control": "max-age"}, "Cache-Control: max-age takes whole seconds"),
        ({"Cache-Control": "max-age="}, "Cache-Control: max-age takes whole seconds"),
        ({"Cache-Control": "max-age=-1"}, "Cache-Control: max-age takes whole seconds"),
        ({"Cache-Control": "max-age=1.5"}, "Cache-Control: max-age takes whole seconds"),
        ({"Cache-Control": "stale-if-error=soon"}, "Cache-Control: stale-if-error takes whole seconds"),
        ({"Cache-Control": "no-store; x"}, "Cache-Control: cannot be read from character 1"),
        ({"Cache-Control": 'max-age=1, x="open'}, "Cache-Control: cannot be read from character 11"),
    ],
)
def test_a_bad_value_is_refused_and_its_header_named(headers: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        controls_from_headers(headers)
    assert str(error.value).startswith(message)


def test_a_header_sent_twice_counts_once_and_tags_add_up() -> None:
    class Repeated(dict[str, str]):
        """Headers as servers give them: the same name more than once."""

        def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
            return [
                ("cache-control", "max-age=60"),
                ("cache-control", "no-cache"),
                ("x-encore-tags", "a"),
                ("x-encore-tags", "b"),
                ("x-encore-ttl", "5"),
                ("x-encore-ttl", "5"),
            ]

    controls = controls_from_headers(Repeated())
    assert controls == Controls(max_age=60.0, no_cache=True, tags=("a", "b"), ttl=For(5.0))


@pytest.mark.parametrize(("begin", "piece", "end"), [("", " ", ";"), ("", "a", ";"), ('x="', "\\a", ""), ("", ",", "")])
def test_a_hostile_cache_control_is_read_in_linear_time(begin: str, piece: str, end: str) -> None:
    def read(value: str) -> None:
        with suppress(InvalidInput):
            controls_from_headers({"Cache-Control": value})

    assert not grows_with_the_square(read, lambda size: begin + piece * (size // len(piece)) + end, 200_000)


@pytest.mark.parametrize(
    ("values", "controls"),
    [
        ({}, NO_CONTROLS),
        (
            {"namespace": "a", "strategy": "semantic", "threshold": 1, "tags": ["x", "x", "y"], "user": "u"},
            Controls(namespace="a", strategy=CacheStrategy.SEMANTIC, threshold=1.0, tags=("x", "y"), user="u"),
        ),
        ({"ttl": 60, "max_age": 5, "stale_if_error": 7.5}, Controls(ttl=For(60), max_age=5.0, stale_if_error=7.5)),
        ({"ttl": 0}, Controls(ttl=NoStore())),
        ({"ttl": None, "no_cache": None}, Controls(ttl=Default())),
        (
            {"no_cache": True, "no_store": True, "only_if_cached": True},
            Controls(no_cache=True, no_store=True, only_if_cached=True),
        ),
    ],
)
def test_an_object_in_the_body_becomes_controls(values: dict[str, object], controls: Controls) -> None:
    assert controls_from_object(values) == controls


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "encore: give an object"),
        ("no-store", "encore: give an object"),
        ({"tll": 5}, "encore: has no 'tll'; there are namespace"),
        ({"ttl": "60"}, "encore.ttl: give a number"),
        ({"ttl": True}, "encore.ttl: give a number"),
        ({"ttl": -1}, "encore.ttl: give seconds"),
        ({"ttl": float("nan")}, "encore.ttl: give seconds"),
        ({"ttl": float("inf")}, "encore.ttl: give seconds"),
        ({"max_age": -1}, "encore.max_age: give seconds"),
        ({"max_age": False}, "encore.max_age: give a number"),
        ({"stale_if_error": "1"}, "encore.stale_if_error: give a number"),
        ({"threshold": 0}, "encore.threshold: give a cosine"),
        ({"no_store": 1}, "encore.no_store: give true or false"),
        ({"tags": "a,b"}, "encore.tags: give a list"),
        ({"tags": {"a": 1}}, "encore.tags: give a list"),
        ({"tags": ["a", 1]}, "encore.tags: give a list"),
        ({"tags": [""]}, "encore.tags: give at most"),
        ({"user": 7}, "encore.user: give a text"),
        ({"user": ""}, "encore.user: give 1 to"),
        ({"namespace": "a b"}, "encore.namespace: use 1 to 64"),
        ({"strategy": None, "namespace": 3}, "encore.namespace: give a text"),
        ({"strategy": "none"}, "encore.strategy: is one of"),
    ],
)
def test_a_bad_field_is_refused_and_named(values: object, message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        controls_from_object(values)
    assert str(error.value).startswith(message)


def test_the_body_goes_over_the_headers_but_takes_back_no_prohibition() -> None:
    headers = controls_from_headers({"Cache-Control": "no-store, max-age=60", "X-Encore-User": "a"})
    controls = controls_from_object({"user": "b", "no_store": False, "tags": ["t"]}, headers)
    assert controls == Controls(no_store=True, max_age=60.0, user="b", tags=("t",))
