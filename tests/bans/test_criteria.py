from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.bans.criteria import Criteria
from core.errors import InvalidInput
from core.keys.names import readable_key
from tests.samples import NOW, an_entry, digest_of

KEY = readable_key(0, digest_of("k"))


def matches(criteria: Criteria, **fields) -> bool:
    entry = an_entry(**fields)
    return criteria.matches(entry.header, entry.prompt, entry.tags)


@pytest.mark.parametrize(
    ("criteria", "fields", "expected"),
    [
        (Criteria(model="gpt-4o"), {"model": "gpt-4o"}, True),
        (Criteria(model="gpt-4o"), {"model": "gpt-4o-mini"}, False),
        (Criteria(model="gpt-4o"), {"model": "GPT-4o"}, False),
        (Criteria(pattern="*refund*"), {"prompt": "How do I get a refund?"}, True),
        (Criteria(pattern="*refund*"), {"prompt": "How do I get a\nrefund\n?"}, True),
        (Criteria(pattern="refund"), {"prompt": "a refund"}, False),
        (Criteria(pattern="*Refund*"), {"prompt": "a refund"}, False),
        (Criteria(pattern="caf? [ab]*"), {"prompt": "cafe\u0301 a"}, True),
        (Criteria(pattern=readable_key(0, digest_of("k"))[:12] + "*"), {"digest": digest_of("k")}, True),
        (Criteria(created_before=NOW), {"created_at": NOW - 1}, True),
        (Criteria(created_before=NOW), {"created_at": NOW}, False),
        (Criteria(keywords=("REFUND",)), {"prompt": "my refund"}, True),
        (Criteria(keywords=("straße",)), {"prompt": "Die STRASSE"}, True),
        (Criteria(keywords=("refund", "card")), {"prompt": "my card"}, True),
        (Criteria(keywords=("refund", "card"), keyword_mode="all"), {"prompt": "my card"}, False),
        (Criteria(keywords=("re*nd",)), {"prompt": "refund"}, False),
        (Criteria(tags=("doc:1",)), {"tags": ("doc:1", "doc:2")}, True),
        (Criteria(tags=("doc:1",)), {"tags": ("doc:12",)}, False),
        (Criteria(key=KEY), {"digest": digest_of("k")}, True),
        (Criteria(key=KEY), {"digest": digest_of("n"), "target": digest_of("k")}, True),
        (Criteria(key=KEY), {"digest": digest_of("x")}, False),
        (Criteria(all=True), {}, True),
        (Criteria(model="gpt-4o", keywords=("refund",)), {"prompt": "refund", "model": "o1"}, False),
    ],
)
def test_criteria_select(criteria, fields, expected):
    assert matches(criteria, **fields) is expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "criteria"),
        ({"all": True, "model": "m"}, "all"),
        ({"model": " "}, "model"),
        ({"pattern": ""}, "pattern"),
        ({"pattern": "*"}, "pattern"),
        ({"pattern": "**?"}, "pattern"),
        ({"pattern": "a" * 257}, "pattern"),
        ({"pattern": "*a" * 17}, "pattern"),
        ({"created_before": -1}, "created_before"),
        ({"created_before": float("nan")}, "created_before"),
        ({"created_before": True}, "created_before"),
        ({"keywords": ("a",)}, "keywords"),
        ({"keywords": "refund"}, "keywords"),
        ({"keywords": ("x" * 257,)}, "keywords"),
        ({"tags": ("",)}, "tags"),
        ({"key": "not-a-key"}, "key"),
        ({"model": "m", "namespace": "a:b"}, "namespace"),
        ({"model": "lone \udc80"}, "model"),
        ({"pattern": "lone \udc80"}, "pattern"),
        ({"keywords": ("good", "lone \udc80")}, "keywords"),
        ({"tags": ("lone \udc80",)}, "tags"),
    ],
)
def test_criteria_that_cannot_be_name_the_field(fields, named):
    with pytest.raises(InvalidInput) as raised:
        Criteria(**fields)
    assert raised.value.field == named


def test_criteria_come_back_from_plain_json():
    criteria = Criteria(namespace="n", model="m", keywords=("aa", "bb"), keyword_mode="all", created_before=NOW)
    assert Criteria.from_dict(criteria.to_dict()) == criteria


@pytest.mark.parametrize("plain", [{"modle": "m"}, {"model": 3}, {"all": True, "model": "m"}, [], None])
def test_plain_json_that_is_no_criteria_is_refused(plain):
    with pytest.raises(InvalidInput):
        Criteria.from_dict(plain)


@given(st.text("ab*?[]!-\n", min_size=1, max_size=8), st.text("ab]-\n", max_size=8))
def test_a_pattern_matches_what_a_shell_would(pattern, prompt):
    assume(pattern.strip("*?"))
    assume(not re.match("[0-9a-f]{1,3}-", pattern))  # the bucket of a readable key
    matched = fnmatch.fnmatchcase(prompt, pattern) or fnmatch.fnmatchcase(digest_of("d").hex(), pattern)
    assert matches(Criteria(pattern=pattern), prompt=prompt, digest=digest_of("d")) is matched


def test_a_pattern_may_name_a_key_without_its_bucket():
    digest = digest_of("d").hex()
    for pattern in (f"{digest[:6]}*", f"*{digest[-6:]}", f"3-{digest[:6]}*", f"[{digest[0]}]*", f"?{digest[1:]}"):
        assert matches(Criteria(pattern=pattern), digest=digest_of("d"))
    assert not matches(Criteria(pattern="0-*z"), digest=digest_of("d"))


def test_a_pattern_of_many_stars_takes_linear_time():
    criteria = Criteria(pattern="*a" * 8 + "b")
    started = time.process_time()
    assert not matches(criteria, prompt="a" * 100_000)
    assert time.process_time() - started < 5, "an exponential matcher would not come back at all"
