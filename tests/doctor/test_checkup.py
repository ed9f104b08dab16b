"""The doctor's latest word: one look for all who want it, never old, and the dear parts asked seldom."""

from __future__ import annotations

import pytest

from core.bootstrap import bootstrap
from core.doctor import checkup as module
from core.doctor import diagnosis as doctor
from core.doctor.checkup import CHECKUP_SECONDS, OUTSIDE_SECONDS, WRONG_OUTSIDE_SECONDS, Checkup
from core.doctor.diagnosis import Diagnosis
from core.doctor.findings import Finding, Level
from core.settings import Settings


class Doctor:
    """Counts what he is asked; says of the outside what he is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = 0
        self.asked = 0
        self.level = Level.OK

    def outside_findings(self, services):
        self.asked += 1
        return [Finding(area="provider", level=self.level, text=f"asked {self.asked}")]

    def diagnose(self, services, *, now, outside):
        self.looks += 1
        return Diagnosis(settings=(), findings=tuple(outside), at=now)


@pytest.fixture
def asked(monkeypatch) -> Doctor:
    one = Doctor()
    monkeypatch.setattr(module, "outside_findings", one.outside_findings)
    monkeypatch.setattr(module, "diagnose", one.diagnose)
    return one


@pytest.fixture
def checkup(asked) -> Checkup:
    return Checkup(clock=lambda: asked.now)


def told(checkup):
    return checkup.look(None).diagnosis.findings[0].text


def later(checkup, asked, seconds):
    """What is told after so many seconds, when those who were asked beside the page have answered."""
    asked.now += seconds
    checkup.look(None)
    if checkup._asking is not None:
        checkup._asking.result(120)
    return told(checkup)


def test_one_look_does_for_all_who_look_at_the_same_time(checkup, asked):
    assert [told(checkup) for _ in range(5)] == ["asked 1"] * 5
    assert (asked.looks, asked.asked) == (1, 1)


def test_it_looks_again_by_itself_and_asks_outside_seldom(checkup, asked):
    told(checkup)
    for _ in range(3):
        assert later(checkup, asked, CHECKUP_SECONDS) == "asked 1"
    assert (asked.looks, asked.asked) == (4, 1)
    assert checkup.look(None).diagnosis.at == asked.now
    assert checkup.look(None).outside_at == asked.now - 3 * CHECKUP_SECONDS
    assert later(checkup, asked, OUTSIDE_SECONDS) == "asked 2"


def test_what_is_wrong_outside_is_asked_for_sooner(checkup, asked):
    asked.level = Level.ERROR
    assert checkup.look(None).diagnosis.worst is Level.ERROR
    asked.level = Level.OK
    assert later(checkup, asked, WRONG_OUTSIDE_SECONDS) == "asked 2"
    assert checkup.look(None).diagnosis.worst is Level.OK


def test_who_asks_for_it_has_everything_looked_at_now(checkup, asked):
    told(checkup)
    asked.now += 1
    looked = checkup.look(None, afresh=True)
    assert (looked.diagnosis.findings[0].text, looked.outside_at) == ("asked 2", asked.now)


def test_the_real_doctor_does_not_ask_outside_again(redis_url, monkeypatch):
    before = Finding(area="provider", level=Level.OK, text="as before")
    monkeypatch.setattr(doctor, "provider_findings", lambda services: pytest.fail("asked"))
    with bootstrap(Settings(redis_url=redis_url)) as services:
        findings = doctor.diagnose(services, outside=[before]).findings
    assert before in findings
    assert any(finding.area == "redis" for finding in findings)
