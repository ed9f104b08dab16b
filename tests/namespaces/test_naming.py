"""The name of each namespace on screens: no two known ones have one name, however alike their labels and hashes are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import names
from core.namespaces import NamespaceLabel, Naming

KEY = "key-3f9a12cd7788990011e4b1c2"


def labels(**texts: str) -> dict[str, NamespaceLabel]:
    return {namespace: NamespaceLabel(label=text) for namespace, text in texts.items()}


@pytest.mark.parametrize(
    ("namespace", "shown"),
    [
        ("default", "default"),
        (KEY, "key-3f9a12cd…b1c2"),
        (f"{KEY}~eu", "key-3f9a12cd…b1c2~eu"),
        (f"acme~{'ab' * 20}", "acme~abababab…abab"),
        ("550e8400-e29b-41d4-a716-446655440000", "550e8400…0000"),
        (f"tenant.{'0123456789abcdef' * 2}.eu", "tenant.01234567…cdef.eu"),
        ("a-name-that-is-long-and-can-be-read-by-people-in-eu-west-1", None),
        ("deadbeef", None),
    ],
)
def test_only_a_hash_is_shortened(namespace, shown):
    assert Naming(known=[namespace]).shown(namespace) == (shown or namespace)


def test_a_hash_is_shown_as_far_as_tells_it_from_the_others():
    alike = ["key-3f9a12cd7788990011e4b1c2", "key-3f9a12cd7711110011e4b1c2", "key-ffffffffffffffffffffffff"]
    naming = Naming(known=alike)
    assert [naming.shown(one) for one in alike] == [
        "key-3f9a12cd778…b1c2",
        "key-3f9a12cd771…b1c2",
        "key-ffffffff…ffff",
    ]


def test_hashes_that_differ_near_their_end_are_shown_whole():
    alike = [f"key-{'a' * 20}{end}" for end in ("0000", "1111")]
    assert [Naming(known=alike).shown(one) for one in alike] == alike


def test_one_that_is_not_known_is_told_from_all_that_are():
    naming = Naming(known=[KEY])
    assert naming.shown("key-3f9a12cd7788ffff0011b1c2") == "key-3f9a12cd7788f…b1c2"


def test_a_label_is_the_name_and_a_part_has_that_of_its_namespace():
    naming = Naming({KEY: NamespaceLabel(label="Support", owner="team-support", colour="blue")}, ["acme"])
    assert naming.shown(KEY) == "Support"
    assert naming.shown(f"{KEY}~eu") == "Support~eu"
    assert naming.label(f"{KEY}~eu") == naming.label(KEY)
    assert naming.shown("acme") == "acme"
    assert naming.label("acme") is None


def test_a_part_may_have_a_label_of_its_own():
    naming = Naming({"acme": NamespaceLabel(label="Acme"), "acme~eu": NamespaceLabel(label="Europe")})
    assert (naming.shown("acme~eu"), naming.shown("acme~us")) == ("Europe", "Acme~us")


@pytest.mark.parametrize("other", ["Support", "support", "SUPPORT", "\uff33upport"])
def test_labels_that_look_equal_are_followed_by_the_short_id(other):
    naming = Naming({"a": NamespaceLabel(label="Support"), KEY: NamespaceLabel(label=other)})
    assert naming.shown("a") == "Support (a)"
    assert naming.shown(KEY) == f"{other} (key-3f9a12cd…b1c2)"
    assert naming.shown(f"{KEY}~eu") == f"{other} (key-3f9a12cd…b1c2)~eu"


def test_a_label_that_is_anothers_id_is_followed_by_the_short_id():
    naming = Naming(labels(acme="default"), ["default"])
    assert (naming.shown("default"), naming.shown("acme")) == ("default", "default (acme)")


def test_a_label_that_looks_like_a_followed_one_is_told_from_it():
    naming = Naming(labels(a="Shop", b="Shop", c="Shop (a)"))
    assert len({naming.shown(one) for one in "abc"}) == 3


def test_for_commands_the_id_is_whole():
    naming = Naming({KEY: NamespaceLabel(label="Support")})
    assert naming.whole(KEY) == f"Support ({KEY})"
    assert naming.whole("default") == "default"


def test_more_can_be_made_known():
    naming = Naming(labels(acme="Shop"))
    assert naming.knowing(["acme"]) is naming
    other = "key-3f9a12cd7788ffff0011b1c2"
    both = naming.knowing([KEY, other])
    assert both.shown(KEY) != both.shown(other)
    assert both.shown("acme") == "Shop"


HEX = st.text("0123456789ab", min_size=16, max_size=20).map(lambda text: text[:2] * 6 + text[-6:])
OWN = st.one_of(st.sampled_from(["default", "acme", "acme-eu"]), HEX.map("key-{}".format), HEX, HEX.map("k{}x".format))
IDS = st.one_of(OWN, st.tuples(OWN, OWN).map(names.PART_SEPARATOR.join))
LABELS = st.sampled_from(["Shop", "shop", "default", "acme", "Shop (acme)", "Shop (default)", "Shop (acme) (acme)"])


@given(st.dictionaries(IDS, LABELS, max_size=6), st.sets(IDS, max_size=8))
def test_no_two_known_namespaces_have_one_name(given_labels, known):
    naming = Naming(labels(**given_labels), known)
    every = {*known, *given_labels}
    assert len({naming.shown(one).casefold() for one in every}) == len({one.casefold() for one in every})
