"""TTLRule: which prompts belong to a class, as an operator may write it; and the rules that ship with the project."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from .matching import Matcher, phrase_problem, word_problem


def _checked_phrase(phrase: str) -> str:
    if problem := phrase_problem(phrase):
        raise ValueError(problem)
    return phrase


def _checked_word(word: str) -> str:
    if problem := word_problem(word):
        raise ValueError(problem)
    return word


Word = Annotated[str, Field(max_length=50), AfterValidator(_checked_word)]
Phrase = Annotated[str, Field(max_length=1000), AfterValidator(_checked_phrase)]
Sign = Annotated[str, Field(min_length=1, max_length=50)]
Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f]{1,64}$")]


class TTLRule(BaseModel):
    """One rule: which prompts belong to a class. Case never counts.

    `words` match alone. `phrases` are words in a row within a sentence: `a|b` is either, `...` up to three words,
    `<number>` a word with three digits in a row, `^` and `$` the sentence's beginning and end. One `*` in a word stands
    for any letters. `signs` are pieces of text, for code and for languages that write no spaces; `...` in one is up to
    twelve characters of a sentence. A match counts unless its sentence has one of `unless`.
    `example` is a prompt that the rule must match.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    ttl_class: str
    words: tuple[Word, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    signs: tuple[Sign, ...] = ()
    unless: tuple[Phrase, ...] = ()
    example: str = ""

    @model_validator(mode="after")
    def _matches_its_example(self) -> Self:
        if self.example and self.can_match and not Matcher([self]).first(self.example):
            raise ValueError(f"does not match its own example {self.example!r}")
        return self

    @property
    def can_match(self) -> bool:
        """Whether the rule has words, phrases or signs to match; the last two rules have none and take what is left."""
        return bool(self.words or self.phrases or self.signs)
