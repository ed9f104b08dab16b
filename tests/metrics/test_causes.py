"""Why a hit rate changed: the cause and its beginning in words, what did most harm first."""

from __future__ import annotations

from core.metrics import LEAST, Cause, Scopes, causes_of
from core.metrics.scopes import scopes_of
from tests.metrics.test_change import changed, counts
from tests.metrics.test_scopes import a_record
from tests.samples import NOW

NONE = Scopes(looked_at=0, since=None)


def said(causes: tuple[Cause, ...]) -> list[tuple[str, str]]:
    return [(cause.namespace, cause.reason or "") for cause in causes]


def scopes_with_a_time(namespace: str = "sick") -> Scopes:
    """Hits in one scope until the system prompt has a time in it, from the 60th request on."""
    before = [a_record(f"q{n % 10}", "You help.", NOW + n, hit=n >= 10, namespace=namespace) for n in range(60)]
    after = [a_record(f"q{n % 10}", f"It is {n}.", NOW + n, namespace=namespace) for n in range(60, 120)]
    return scopes_of([*before, *after][::-1])


def test_who_misses_more_comes_before_who_hits_well_and_asks_less() -> None:
    found = changed(
        {"healthy/m": counts(1900, absent=100), "sick/m": counts(40, absent=160)},
        {"healthy/m": counts(190, absent=10), "sick/m": counts(30, absent=170)},
    )
    assert [one.namespace for one in found.by("namespace", "model", "reason")] == ["sick", "healthy", "sick"]
    causes = causes_of(found, NONE)
    assert said(causes) == [("sick", "mix"), ("sick", "absent"), ("healthy", "mix")]
    assert abs(sum(cause.change or 0.0 for cause in causes) - (found.change or 0.0)) < 1e-9


def test_gains_come_last_however_large() -> None:
    found = changed(
        {"good/m": counts(10, absent=90), "sick/m": counts(90, absent=10)},
        {"good/m": counts(99, absent=1), "sick/m": counts(40, expired=60)},
    )
    assert (found.change or 0.0) > 0
    causes = causes_of(found, NONE)
    assert said(causes) == [("sick", "expired"), ("good", "absent"), ("sick", "absent")]
    assert [cause.is_told for cause in causes] == [True] * 3


def test_the_cause_and_its_beginning_are_said_first_and_once() -> None:
    found = changed(
        {"sick/m": counts(50, absent=10), "well/m": counts(50, absent=10)},
        {"sick/m": counts(0, absent=60), "well/m": counts(40, expired=20)},
    )
    first, *rest = causes_of(found, scopes_with_a_time(), lambda at: f"second {at - NOW:.0f}")
    assert first.words == (
        "the system prompt changes with every request, e.g. by a time stamp, since second 60. 60 of 70 misses repeat a "
        "question of another scope: they differ in the system prompt. 61 scopes per 100 requests. "
        "Hit rate 83.3 % → 0 %"
    )
    assert (first.namespace, first.model, first.since, first.lost_hits) == ("sick", None, NOW + 60, 60)
    assert first.change is not None
    assert first.change < -LEAST
    assert {cause.namespace for cause in rest} == {"well"}
    assert first.to_dict()["words"] == first.words


def test_a_cause_that_made_no_change_comes_behind_those_that_did() -> None:
    """It lost its hits in the window before as well."""
    found = changed(
        {"sick/m": counts(0, absent=60), "well/m": counts(50, absent=10)},
        {"sick/m": counts(0, absent=60), "well/m": counts(20, expired=40)},
    )
    assert said(causes_of(found, scopes_with_a_time())) == [("well", "expired"), ("sick", ""), ("well", "absent")]


def test_without_a_window_before_the_cause_is_said_alone() -> None:
    for change in (None, changed({}, {"sick/m": counts(0, absent=60)})):
        [cause] = causes_of(change, scopes_with_a_time())
        assert (cause.namespace, cause.change, cause.is_told) == ("sick", None, True)
        assert "2026" not in cause.details
    assert causes_of(None, NONE) == ()
