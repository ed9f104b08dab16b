"""Keys of programs: what is configured is their hash, with a name, a role and namespaces."""

from __future__ import annotations

import pytest

from core.access import OperationKey, OperationKeys, Role, covers, new_operation_key
from core.errors import InvalidInput, InvalidSettings
from core.settings import Settings
from core.text import looks_secret

DIGEST = "0" * 64


@pytest.mark.parametrize(
    ("name", "role", "namespaces"),
    [("wiki", Role.OPERATOR, ("docs",)), ("ci.deploy-2", Role.ADMIN, ()), ("a", Role.VIEWER, ("docs", "acme~part"))],
)
def test_a_line_says_whose_a_key_is_and_what_it_opens(name, role, namespaces):
    key, kept = new_operation_key(name, role, namespaces)
    assert OperationKey.parse(kept.line) == kept
    assert (kept.name, kept.role, kept.namespaces) == (name, role, namespaces)
    assert key not in kept.line
    assert looks_secret(key)
    keys = OperationKeys([new_operation_key("other", Role.ADMIN)[1].line, kept.line])
    assert keys.find(key) == kept
    assert keys.find(kept.digest) is None
    assert keys.find("") is None
    assert keys.find("\udcff") is None


def test_no_two_keys_are_alike():
    assert new_operation_key("a", Role.VIEWER)[0] != new_operation_key("a", Role.VIEWER)[0]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a-key-as-it-was-configured-before",
        f"encore-{DIGEST}",
        f"wiki:operator:*:{DIGEST[1:]}",
        f"wiki:root:*:{DIGEST}",
        f"wiki:none:*:{DIGEST}",
        f"wiki:operator::{DIGEST}",
        f"wiki:operator:a b:{DIGEST}",
        f"wi ki:operator:*:{DIGEST}",
        f"wiki:operator:*:encore-{DIGEST}",
        f"wiki:operator:*:{DIGEST.replace('0', 'G')}",
    ],
)
def test_what_is_no_line_is_refused_and_not_repeated(line):
    with pytest.raises(InvalidInput) as error:
        OperationKey.parse(line)
    assert not line or line not in str(error.value)
    if line:
        with pytest.raises(InvalidSettings) as refused:
            Settings(operation_keys=line)
        assert "ENCORE_OPERATION_KEYS" in str(refused.value)
        assert line not in str(refused.value)


def test_no_two_keys_have_one_name():
    lines = [new_operation_key("wiki", Role.VIEWER)[1].line for _ in range(2)]
    with pytest.raises(InvalidSettings, match="two keys have the name wiki"):
        Settings(operation_keys=",".join(lines))


@pytest.mark.parametrize("name", ["", "a:b", "a,b", "a b", "a" * 65, "ä"])
def test_a_name_can_stand_in_a_line(name):
    with pytest.raises(InvalidInput, match="name"):
        new_operation_key(name, Role.VIEWER)


@pytest.mark.parametrize(
    ("namespaces", "namespace", "expected"),
    [
        (("docs",), "docs", True),
        (("docs",), "docs~part", True),
        (("docs",), "docs2", False),
        (("docs",), "docs.part", False),
        (("docs~part",), "docs", False),
        (("docs~part",), "docs~part", True),
        (("a", "b"), "b", True),
        ((), "a", False),
    ],
)
def test_a_namespace_has_its_parts(namespaces, namespace, expected):
    assert covers(namespaces, namespace) == expected
