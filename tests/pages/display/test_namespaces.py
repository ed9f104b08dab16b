"""Namespaces as screens show them: labels are texts of strangers, and are shown as they are, harmlessly."""

from __future__ import annotations

import re

import pytest

from core.namespaces import Colour, NamespaceLabel, Naming
from pages.components.display import namespaces
from pages.components.display.namespaces import choosing, hexadecimal, named, shown, told, told_of

KEY = "key-3f9a12cd7788990011e4b1c2"
SUPPORT = NamespaceLabel(label="Support", owner="team-support", colour="blue")


@pytest.fixture
def naming():
    return Naming({KEY: SUPPORT, "acme": NamespaceLabel(label="Acme")}, ["default"])


def test_the_name_is_the_label_and_the_help_has_id_and_owner(naming):
    assert (shown(KEY, naming), named(KEY, naming)) == ("Support", "Support")
    assert told(KEY, naming) == f"Namespace `{KEY}`. Owner: `team-support`."
    assert (named("acme", naming), told("acme", naming)) == ("Acme", "Namespace `acme`.")
    assert named("default", naming) == "`default`"


def test_a_control_offers_names_and_its_help_says_what_they_stand_for(naming):
    offered = [KEY, "acme", "default"]
    assert [choosing(naming)(one) for one in offered] == ["Support", "Acme", "default"]
    help_text = told_of(offered, naming)
    assert help_text is not None
    assert f"- `Support`: namespace `{KEY}`." in help_text
    assert "default" not in help_text
    assert told_of(["default"], naming) is None
    many = Naming({f"n{number}": NamespaceLabel(label=f"L{number}") for number in range(200)})
    assert len(told_of(many.known, many).splitlines()) == namespaces.MOST_TOLD


HOSTILE = [
    *("**b** [x](http://x)", ":red[no]", "a`b``c", "<img src=x>", "$x$", ":material/bug:", "=1+1", "]●["),
    *("a@b.org", "www.b.org"),
]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_hostile_label_is_shown_as_it_is(label):
    naming = Naming({"acme": NamespaceLabel(label=label, owner=label, colour="red")})
    assert shown("acme", naming) == label
    assert label in told("acme", naming)
    inside = named("acme", naming)
    outside_code = re.sub(r"(?<!\\)`[^`]*(?<!\\)`", "", inside)
    assert "@" not in outside_code
    assert "www." not in outside_code
    assert not re.search(r"(?<!\\)[*_`<>\[\]:$=]", outside_code)
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", inside).replace("`", "") == label.replace("`", "")


def test_every_colour_has_one_for_charts(naming):
    assert set(namespaces.HEXADECIMAL) == set(Colour)
    assert hexadecimal(KEY, naming) == namespaces.HEXADECIMAL[Colour.BLUE]
    assert hexadecimal(f"{KEY}~eu", naming) == namespaces.HEXADECIMAL[Colour.BLUE]
    assert hexadecimal("acme", naming) is None
