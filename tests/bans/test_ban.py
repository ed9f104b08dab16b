from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bans.ban import Ban, BanState, decode_ban, encode_ban
from core.bans.criteria import Criteria
from core.errors import DecodeError
from tests.samples import NOW


@given(
    sequence=st.integers(0, 10**19),
    words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=3, max_size=9), min_size=1, max_size=4),
    state=st.sampled_from(BanState),
    hold=st.floats(0, 86_400),
)
def test_a_ban_comes_back_as_it_was(sequence, words, state, hold):
    criteria = Criteria(tags=tuple(words)) if all(word.strip() for word in words) else Criteria(all=True)
    ban = Ban(sequence=sequence, id="b", criteria=criteria, state=state, created_at=NOW, due_at=NOW + hold)
    assert decode_ban(encode_ban(ban)) == ban


@given(st.binary(max_size=200))
def test_bytes_that_are_no_ban_are_refused(value):
    with pytest.raises(DecodeError):
        decode_ban(value)


def test_a_cut_ban_is_refused():
    value = encode_ban(Ban(id="b", criteria=Criteria(all=True), state=BanState.HELD, created_at=NOW, due_at=NOW))
    for end in range(len(value)):
        with pytest.raises(DecodeError):
            decode_ban(value[:end])
