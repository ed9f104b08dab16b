"""Reasons: bounded, on one line, of visible characters; kept with the record of what was asked for."""

from __future__ import annotations

import pytest

from core.access.audit import AuditLog
from core.access.audit_records import AuditRecord
from core.bans.criteria import Criteria
from core.errors import InvalidInput, WriteRefused
from core.invalidation.invalidator import CacheInvalidator
from core.invalidation.reason import LONGEST_REASON, checked_reason
from core.invalidation.telling import from_audit
from core.stores.memory import MemoryStore
from tests.samples import Clock

WHY = "The fee has changed"


@pytest.fixture
def invalidation():
    clock = Clock()
    return CacheInvalidator(MemoryStore(clock=clock), AuditLog(None, clock=clock), clock=clock)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("  The fee\nhas \t changed ", WHY),
        ("a\x00b\u202ec", "a b\N{REPLACEMENT CHARACTER}c"),
        ("x" * LONGEST_REASON, "x" * LONGEST_REASON),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_reason_is_one_line_of_visible_characters(given, kept):
    assert checked_reason(given) == kept


def test_a_reason_that_is_too_long_is_refused_and_nothing_applied(invalidation):
    with pytest.raises(InvalidInput, match="200 characters"):
        invalidation.invalidate(Criteria(all=True), actor="olga", reason="x" * (LONGEST_REASON + 1))
    assert invalidation.history() == []


@pytest.mark.parametrize("source", ["console", "api"])
def test_a_reason_is_told_of_what_people_and_programs_do(invalidation, source):
    actor = invalidation.audit.by("olga", source=source)
    done = invalidation.invalidate(Criteria(tags=("doc:1",)), actor=actor, reason=WHY)
    assert done.reason == invalidation.find(done.id).reason == invalidation.history()[0].reason == WHY
    undone = invalidation.undo(done.id, actor=actor)
    assert (undone.reason, invalidation.find(done.id).reason, invalidation.find(done.id).problem) == (WHY, WHY, "")


@pytest.mark.parametrize("source", ["console", "api"])
def test_a_problem_stands_beside_the_reason(invalidation, source, monkeypatch):
    def refuse(*_, **__):
        raise WriteRefused("Redis takes no writes now")

    monkeypatch.setattr(invalidation._store, "append", refuse)
    actor = invalidation.audit.by("olga", source=source)
    with pytest.raises(WriteRefused):
        invalidation.invalidate(Criteria(tags=("doc:1",)), actor=actor, reason=WHY)
    [known] = invalidation.history()
    assert (known.reason, known.problem) == (WHY, "Redis takes no writes now")


def test_records_from_before_there_were_reasons_are_read():
    def record(action, **details):
        return AuditRecord(at=1.0, actor="olga", source="api", action=action, criteria={"all": True}, details=details)

    asked = record("invalidate.requested", mode="hard")
    refused = from_audit([record("invalidate.refused", mode="hard", reason="many"), asked], None)
    assert (refused.reason, refused.problem) == ("", "many")
    alone = from_audit([record("invalidate.refused", mode="hard", reason="many")], None)
    assert (alone.reason, alone.problem) == ("", "many")
    stopped = from_audit([record("invalidate.sweep-stopped", deleted=1, freed_bytes=2, reason="gone"), asked], None)
    assert (stopped.reason, stopped.problem) == ("", "gone")
