from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics.tally import EVENTS, MAX_MODELS, MAX_NAMESPACES, OTHER, CellName, Counts, Tally, add
from core.models import CacheStrategy, HitDetail, Outcome, OutcomeKind
from tests.metrics.outcomes import a_bypass, a_hit, a_miss, an_error, an_outcome
from tests.samples import NOW

CELL = CellName("test", "gpt-4o")

outcomes = st.builds(
    an_outcome,
    st.sampled_from(OutcomeKind),
    namespace=st.sampled_from(["a", "b"]),
    model=st.sampled_from(["gpt-4o", "gpt-4o-mini"]),
    strategy=st.sampled_from(CacheStrategy),
    detail=st.sampled_from([None, *HitDetail]),
    stale=st.booleans(),
    stored=st.booleans(),
    collapsed=st.booleans(),
    reason=st.sampled_from(["", "absent", "expired"]),
    ttl_class=st.sampled_from(["", "code", "static"]),
    latency_ms=st.floats(0, 10_000),
    lookup_ms=st.floats(0, 10),
    provider_ms=st.floats(0, 10_000),
    input_tokens=st.integers(0, 10_000),
    cost_usd=st.none() | st.floats(0, 10),
    saved_output_tokens=st.integers(0, 10_000),
    saved_cost_usd=st.none() | st.floats(0, 10),
    at=st.sampled_from([NOW, NOW + 10, NOW + 60]),
)


def counted(*given: Outcome, cell: CellName = CELL) -> Counts:
    tally = Tally()
    for outcome in given:
        tally.record(outcome.at, outcome)
    [cells] = tally.take().values()
    return cells[cell]


def merged(parts: list[list[Outcome]]) -> dict[tuple[int, CellName], Counts]:
    sums: dict[tuple[int, CellName], Counts] = {}
    for part in parts:
        tally = Tally()
        for outcome in part:
            tally.record(outcome.at, outcome)
        for at, cells in tally.take().items():
            for cell, counts in cells.items():
                add(sums.setdefault((at, cell), {}), counts)
    return sums


def test_a_hit_counts_what_it_saved_and_a_miss_what_it_spent() -> None:
    saved: dict[str, Any] = {"saved_input_tokens": 5, "saved_output_tokens": 7, "saved_cost_usd": 0.5, "saved_ms": 800}
    counts = counted(a_hit(**saved), a_miss(input_tokens=1, output_tokens=2, cost_usd=0.25, provider_ms=700))
    names = ("saved_in", "saved_out", "saved_cost", "saved_us", "in", "out", "cost")
    assert [counts[name] for name in names] == [5, 7, 500_000_000, 800_000, 1, 2, 250_000_000]


def test_an_unknown_price_is_counted_and_never_guessed() -> None:
    counts = counted(a_hit(), a_miss(provider_ms=700), a_bypass(provider_ms=700))
    assert (counts["saved_cost?"], counts["cost?"]) == (1, 2)
    assert "cost" not in counts
    assert "saved_cost" not in counts


@pytest.mark.parametrize("outcome", [a_miss(collapsed=True), a_miss(reason="only-if-cached"), an_error(provider_ms=9)])
def test_what_called_no_provider_or_got_no_answer_has_no_unknown_price(outcome: Outcome) -> None:
    assert "cost?" not in counted(outcome)


@given(st.lists(st.tuples(outcomes, st.integers(0, 3))))
def test_counts_add_up_the_same_however_requests_are_spread(given: list[tuple[Outcome, int]]) -> None:
    alone = merged([[outcome for outcome, _ in given]])
    spread = merged([[outcome for outcome, part in given if part == number] for number in range(4)])
    assert alone.keys() == spread.keys()
    for place, counts in alone.items():
        for name in counts.keys() | spread[place].keys():
            # Microseconds and billionths are rounded once a part, perhaps to nothing.
            slack = 4 * 12 if name.endswith(("_us", "cost")) else 0
            assert abs(counts.get(name, 0) - spread[place].get(name, 0)) <= slack


@given(st.lists(outcomes))
def test_every_request_is_in_one_kind_and_in_one_bucket(given: list[Outcome]) -> None:
    sums: Counts = {}
    for counts in merged([given]).values():
        add(sums, counts)
    for kind in OutcomeKind:
        expected = sum(outcome.kind is kind for outcome in given)
        assert sum(amount for name, amount in sums.items() if name.startswith(f"n|{kind}|")) == expected
        assert sum(amount for name, amount in sums.items() if name.startswith(f"{kind}#")) == expected


def test_too_many_models_and_namespaces_are_counted_together() -> None:
    tally = Tally()
    for number in range(1000):
        tally.record(NOW, a_hit(model=f"model-{number}", namespace=f"space-{number}"))
    [cells] = tally.take().values()
    assert len({cell.model for cell in cells}) == MAX_MODELS + 1
    assert len({cell.namespace for cell in cells}) == MAX_NAMESPACES + 1
    assert sum(counts["n|hit|exact|normalized"] for counts in cells.values()) == 1000
    assert cells[CellName(OTHER, OTHER)]["n|hit|exact|normalized"] == 1000 - MAX_MODELS


def test_names_make_room_for_others_in_the_next_minute() -> None:
    tally = Tally()
    for number in range(MAX_MODELS):
        tally.record(NOW, a_hit(model=f"model-{number}"))
    tally.record(NOW + 60, a_hit(model="new"))
    assert CellName("test", "new") in tally.take()[int(NOW) + 60]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("gpt\n4", "gpt 4"),
        ("a|b", "a/b"),
        ("\u202egpt", "\N{REPLACEMENT CHARACTER}gpt"),
        ("", "none"),
        ("m" * 1_000_000, "m" * 100),
        ("日本語", "日本語"),
    ],
)
def test_any_name_becomes_one_that_can_be_stored(model: str, name: str) -> None:
    counts = counted(a_hit(model=model), a_hit(model=model), cell=CellName("test", name))
    assert counts["n|hit|exact|normalized"] == 2


def test_reasons_are_bounded_too() -> None:
    counts = counted(*(an_error(reason=f"Error{number}") for number in range(1000)))
    reasons = {name: amount for name, amount in counts.items() if name.startswith("why|")}
    assert len(reasons) <= 201
    assert sum(reasons.values()) == 1000


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_a_figure_that_is_no_number_does_not_spoil_the_counts(figure: float) -> None:
    counts = counted(a_hit(latency_ms=figure, saved_ms=figure, saved_cost_usd=figure), a_hit())
    assert counts["n|hit|exact|normalized"] == 2
    assert "hit_us" not in counts


def test_events_are_counted_by_name() -> None:
    tally = Tally()
    tally.count(NOW, "corrupt_entries", 1)
    tally.count(NOW, "corrupt_entries", 2)
    assert tally.take() == {int(NOW): {EVENTS: {"corrupt_entries": 3}}}


def test_what_was_taken_is_not_taken_again() -> None:
    tally = Tally()
    tally.record(NOW, a_hit())
    tally.count(NOW, "takeovers", 1)
    tally.take()
    assert tally.take() == {}
    tally.record(NOW, a_hit())
    assert tally.take()[int(NOW)][CELL]["n|hit|exact|normalized"] == 1
