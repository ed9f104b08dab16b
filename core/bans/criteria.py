"""What an invalidation selects: criteria, and the matchers compiled from them. A pattern is matched in linear time."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, ClassVar, Literal, Protocol, Self

import msgspec

from ..errors import InvalidInput
from ..keys import EVERYWHERE, NAMESPACE_PATTERN, USER_BYTES, parse_readable_key, user_pseudonym
from ..text import fold, nfc, plain_tags

MAX_PATTERN_LENGTH = 256


MAX_WILDCARDS = 16


MAX_KEYWORDS = 16


MAX_TAGS = 32

MOST_TAGS = 1000
"""In one selection: it is as many bans as its tags need."""


class Selectable(Protocol):
    """The fields that criteria compare beside the text: an entry's header, or a summary of it."""

    @property
    def digest(self) -> bytes: ...
    @property
    def target(self) -> bytes | None: ...
    @property
    def users(self) -> tuple[bytes, ...]: ...
    @property
    def model(self) -> str: ...
    @property
    def created_at(self) -> float: ...


class Criteria(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What to invalidate: every field given must match (AND). Raises InvalidInput naming the field.

    `model`: exact name. `pattern`: a glob (`*`, `?`, `[ab]`) over the whole prompt text or the readable key, case
    counts. `created_before`: Unix seconds. `keywords`: literal text, case folded, `any` or `all` of them. `tags`: any
    of them. `user`: the answers that are one user's own, by the user's pseudonym in the namespace, never the name
    (`from_names` makes it of the name). `key`: one entry by its readable key. `all`: everything in the namespace,
    alone. `namespace`: None is the configured one, EVERYWHERE all there are.
    """

    most_tags: ClassVar[int] = MAX_TAGS

    namespace: str | None = None
    model: str | None = None
    pattern: str | None = None
    created_before: float | None = None
    keywords: tuple[str, ...] = ()
    keyword_mode: Literal["any", "all"] = "any"
    tags: tuple[str, ...] = ()
    user: str | None = None
    key: str | None = None
    all: bool = False

    def __post_init__(self) -> None:
        if self.namespace not in (None, EVERYWHERE) and not re.fullmatch(NAMESPACE_PATTERN, self.namespace):
            raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")
        selectors = (
            self.model is not None,
            self.pattern is not None,
            self.created_before is not None,
            bool(self.keywords),
            bool(self.tags),
            self.user is not None,
            self.key is not None,
        )
        if self.all and any(selectors):
            raise InvalidInput("all", "selects everything; give it alone")
        if not self.all and not any(selectors):
            raise InvalidInput(
                "criteria",
                "give a model, pattern, age, keyword, tag, user or key, or all (--everything)",
            )
        self._check_model()
        if self.pattern is not None:
            _check_pattern(self.pattern)
        self._check_age()
        self._check_words()
        if self.user is not None and not (isinstance(self.user, str) and _PSEUDONYM.fullmatch(self.user)):
            raise InvalidInput("user", "is not a pseudonym; Criteria.from_names makes one of a user's name")
        if self.key is not None and parse_readable_key(self.key) is None:
            raise InvalidInput("key", "is not a key of this cache; it looks like 0-9f86d081... (64 hex digits)")
        self._check_encodable()

    def _check_encodable(self) -> None:
        """Rejects lone surrogates, which occur in no text that was sent and cannot be stored."""
        for name, text in (
            ("model", self.model or ""),
            ("pattern", self.pattern or ""),
            ("keywords", "".join(self.keywords)),
            ("tags", "".join(self.tags)),
        ):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise InvalidInput(name, "has a character that cannot be encoded (a lone surrogate)") from None

    def _check_model(self) -> None:
        if self.model is None:
            return
        if not isinstance(self.model, str) or not self.model.strip() or len(self.model) > 256:
            raise InvalidInput("model", "give the model's exact name, at most 256 characters")

    def _check_age(self) -> None:
        cutoff = self.created_before
        if cutoff is None:
            return
        if isinstance(cutoff, bool) or not isinstance(cutoff, int | float) or not 0 < cutoff < 1e11:
            raise InvalidInput("created_before", "give a time as Unix seconds")

    def _check_words(self) -> None:
        if self.keyword_mode not in ("any", "all"):
            raise InvalidInput("keyword_mode", "is any or all")
        for name, words, most, shortest in (
            ("keywords", self.keywords, MAX_KEYWORDS, 2),
            ("tags", self.tags, self.most_tags, 1),
        ):
            if isinstance(words, str) or len(words) > most:
                raise InvalidInput(name, f"give a list of at most {most}")
            for word in words:
                if not isinstance(word, str) or not shortest <= len(word.strip()) or len(word) > 256:
                    raise InvalidInput(name, f"each has {shortest} to 256 characters")
        if self.tags:
            msgspec.structs.force_setattr(self, "tags", plain_tags(self.tags))

    def matches(self, header: Selectable, prompt: str, tags: tuple[str, ...]) -> bool:
        """Whether an entry (or an alias, with its own prompt) is selected. The caller checks the namespace."""
        if self.model is not None and self.model != header.model:
            return False
        if self.created_before is not None and header.created_at >= self.created_before:
            return False
        if self.user is not None and self.user_digest not in header.users:
            return False
        if self.key is not None and self.digest not in (header.digest, header.target):
            return False
        if self.tags and not any(tag in tags for tag in self.tags):
            return False
        if self.keywords and not _has_keywords(prompt, self.keywords, self.keyword_mode):
            return False
        if self.pattern is None:
            return True
        matches_text, matches_digest = _matchers(self.pattern)
        if matches_text(nfc(prompt)):
            return True
        return matches_digest is not None and matches_digest(header.digest.hex())

    @property
    def is_everywhere(self) -> bool:
        """Whether they are of all namespaces. No ban has such criteria: each namespace gets its own."""
        return self.namespace == EVERYWHERE

    @property
    def digest(self) -> bytes | None:
        """The entry's digest (32 bytes) in the `key` criterion; None without that criterion."""
        parsed = parse_readable_key(self.key) if self.key is not None else None
        return parsed[1] if parsed is not None else None

    @property
    def user_digest(self) -> bytes | None:
        """The digest in the `user` criterion, as entries have it; None without that criterion."""
        return bytes.fromhex(self.user[2:]) if self.user is not None else None

    @property
    def needs_text(self) -> bool:
        """Whether matching needs the prompt, and not the header alone."""
        return self.pattern is not None or bool(self.keywords)

    @property
    def may_match_digest(self) -> bool:
        """Whether the pattern may select an entry by its key, whatever its prompt."""
        return self.pattern is not None and _matchers(self.pattern)[1] is not None

    @property
    def is_listed(self) -> bool:
        """Whether the index by model lists exactly what matches: criteria of a model or an age only, or everything."""
        return self.key is None and self.user is None and not self.tags and not self.needs_text

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_names(cls, namespace: str, **fields: Any) -> Self:
        """Criteria of a namespace in which `user` is a user's name, as requests give it. Raises InvalidInput.

        The door for what people and programs ask for: behind it nobody meets the name again.
        """
        if fields.get("user") is not None:
            fields["user"] = user_pseudonym(namespace, fields["user"])
        return cls.from_dict({**fields, "namespace": namespace})

    @classmethod
    def from_dict(cls, plain: object) -> Self:
        """Criteria from plain JSON, as `to_dict` gives it. Raises InvalidInput for unknown fields or wrong types."""
        if isinstance(plain, dict) and (
            unknown := plain.keys() - {field.name for field in msgspec.structs.fields(cls)}
        ):
            raise InvalidInput(str(min(unknown, key=str)), "is not a field of the criteria")
        try:
            return msgspec.convert(plain, cls)
        except InvalidInput:
            raise
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, InvalidInput):
                raise error.__cause__ from None
            raise InvalidInput("criteria", str(error)) from None

    def __str__(self) -> str:
        """The criteria as one phrase: `model gpt-4o, older than 2026-11-20 10:00 UTC`."""
        from datetime import UTC, datetime

        if self.all:
            return "everything"
        words = []
        if self.key:
            words.append(f"key {self.key[:14]}…")
        if self.model:
            words.append(f"model {self.model}")
        if self.pattern:
            words.append(f"pattern {self.pattern}")
        if self.keywords:
            words.append(f"{self.keyword_mode} of " + ", ".join(f"“{word}”" for word in self.keywords))
        if self.tags:
            words.append("tag " + ", ".join(self.tags))
        if self.user:
            words.append(f"user {self.user[:10]}…")
        if self.created_before:
            words.append(f"created before {datetime.fromtimestamp(self.created_before, UTC):%Y-%m-%d %H:%M:%S} UTC")
        return ", ".join(words)


_PSEUDONYM = re.compile(rf"u-[0-9a-f]{{{2 * USER_BYTES}}}")


class Selection(Criteria, frozen=True, kw_only=True, omit_defaults=True):
    """Criteria with more tags than one ban may have: previewed as they are, applied as several bans."""

    most_tags: ClassVar[int] = MOST_TAGS

    def parts(self) -> Iterator[Criteria]:
        """Criteria for one ban each, which select together what this selects."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        for start in range(0, max(1, len(self.tags)), MAX_TAGS):
            yield Criteria(**{**fields, "tags": self.tags[start : start + MAX_TAGS]})


_BUCKET = re.compile(r"^[0-9a-f]{1,3}-")


def _check_pattern(pattern: str) -> None:
    if not isinstance(pattern, str) or not pattern:
        raise InvalidInput("pattern", "give a glob, e.g. *refund*")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidInput("pattern", f"has more than {MAX_PATTERN_LENGTH} characters")
    if sum(pattern.count(sign) for sign in "*?[") > MAX_WILDCARDS:
        raise InvalidInput("pattern", f"has more than {MAX_WILDCARDS} wildcards")
    if not pattern.strip("*? "):
        raise InvalidInput("pattern", "matches everything; to invalidate everything use all (--everything)")


Matcher = Callable[[str], bool]


@lru_cache(maxsize=256)
def _matchers(pattern: str) -> tuple[Matcher, Matcher | None]:
    """What matches texts in NFC, and what matches hex digests, None for a pattern that cannot match one."""
    of_digest = _BUCKET.sub("", pattern)
    may_match_digest = "[" in of_digest or not of_digest.strip("0123456789abcdef*?")
    return _matcher(nfc(pattern)), _matcher(of_digest) if may_match_digest else None


def _matcher(pattern: str) -> Matcher:
    if "?" in pattern or "[" in pattern:
        # fnmatch's translation joins the pieces between stars with atomic groups: linear in the text, no backtracking.
        match = re.compile(fnmatch.translate(pattern)).match
        return lambda text: match(text) is not None
    first, *pieces = pattern.split("*")
    if not pieces:
        return lambda text: text == pattern
    last = pieces.pop()
    shortest = len(first) + len(last)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in pieces:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return matches


def _has_keywords(prompt: str, keywords: tuple[str, ...], mode: str) -> bool:
    text = fold(prompt)
    for word in _folded(keywords):
        if (word in text) != (mode == "all"):
            return mode != "all"
    return mode == "all"


@lru_cache(maxsize=256)
def _folded(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(fold, words))
