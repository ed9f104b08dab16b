"""The normal form of a text: what may be folded without changing what is asked."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from ..text import is_stream_safe, nfc
from .phrases import SENTENCE_END, Openings, TextKind, rules_data, words_of

_STOP_WORDS = frozenset(
    {
        *("a", "an", "the", "is", "are", "was", "were", "be", "of", "to", "in", "on", "at", "for", "and", "or"),
        *("please", "can", "could", "you", "me", "tell"),
    }
)


# Marks of code, data and quoted text: there, case and white space may be what is asked about. The first class makes the
# search fast; what follows says which of its characters count where.
_LITERAL = re.compile(
    r"""
    [`{}<>=;:|\\$@\#_/*+^~&\[\]"“”„«»\n\r\v\f\x1c-\x1e\x85\u2028\u2029(.\-'‘’]
    (?: (?<! [(.\-'‘’] )        # anywhere; a colon announces a payload ("Correct this: ...")
      | (?<= \w\( )             # f(x)
      | (?<= \. ) (?= \w )      # 1.5, .env, U.S.
      | (?<= - ) (?<! \S- ) (?= -?\w )      # -5, grep -F, --all
      | (?<= ['‘] ) (?<! \S. ) | (?<= ['’] ) (?! \S )  # a quotation mark, not an apostrophe
    )
    """,
    re.VERBOSE,
)


_ABOUT_CASE = re.compile(r"(?:upper|lower)[ -]?case|capital(?:i[sz]| letter)|punctuat")


_LETTERS = re.compile(r"[^\W\d_]{2,}")


_PARTS = re.compile(r"[^\W\d_]+")


_AROUND = ".,!?;()'’…"


_VOWELS = frozenset("aeiouy")


_CLOSING = {TextKind.QUESTION: "?？؟", TextKind.ORDER: ".!…。！।"}
"""The marks that may be missing: a question stays one without its mark, an order without a full stop."""
_ANY_CLOSING = ".!?…。！？؟।"


def is_literal(text: str) -> bool:
    """Whether a text has a sign of code, data or quotation: such a one is never folded further."""
    return _LITERAL.search(text.strip()) is not None


def normalize(text: str, kind: TextKind, *, strip_stop_words: bool = False) -> str:
    """The normal form: folds only what cannot change the meaning. Empty: the strategy does not apply.

    Material is itself, but for Unicode NFC (a text that is not stream-safe has no normal form) and outer white space.
    Of a question and an order white-space runs, case and the mark that it usually ends in are folded too; a text with
    any sign of code, data or quotation keeps them: `C`, `C++` and `C#`, `1.5` and `15`, `grep -F` and `grep -f` stay
    apart. Words whose case may carry meaning keep it (`US`, `MHz`, `Mg`, `vitamin C`, `Turkey`), unless the whole text
    is in capitals. In another language than English, where case tells `Sie` from `sie`, only the first word is folded.
    """
    if not is_stream_safe(text):
        return ""
    bare = nfc(text).strip()
    if kind is TextKind.MATERIAL or _LITERAL.search(bare):
        return bare
    return _fold(bare, _CLOSING[kind], strip_stop_words=strip_stop_words)


def normalize_loosely(text: str, *, strip_stop_words: bool = False) -> str:
    """What would be compared if no text could be material: only for counting what that caution costs."""
    if not is_stream_safe(text):
        return ""
    bare = nfc(text).strip()
    return bare if _LITERAL.search(bare) else _fold(bare, _ANY_CLOSING, strip_stop_words=strip_stop_words, loosely=True)


def _fold(text: str, closing: str, *, strip_stop_words: bool, loosely: bool = False) -> str:
    folded = text
    if "  " in folded or not folded.isprintable():
        folded = " ".join(folded.split())
    folded = _without_closing(folded, closing)
    if not any(map(str.isalnum, folded)):
        return ""
    lowered = folded.lower()
    if lowered != folded and not _asks_about_case(lowered):
        if loosely:
            folded = nfc(lowered)
        elif folded[1:] == lowered[1:]:  # the usual case: one capital, where the sentence begins
            folded = nfc(_fold_first(folded))
        else:
            folded = nfc(_fold_case(folded, lowered))
    if strip_stop_words:
        folded = " ".join(word for word in folded.split(" ") if word not in _STOP_WORDS) or folded
    return folded


def _without_closing(text: str, closing: str) -> str:
    """The text without the marks it ends in, if all of them are closing ones."""
    bare = text.rstrip(_ANY_CLOSING)
    marks = text[len(bare) :]
    if not bare or bare[-1] == " ":
        # A mark that stands alone is what is asked about: "What is the meaning of !", "git add ."
        return text if bare else ""
    if marks.strip(closing):
        return text  # "Really?!" and "Tell me more?" say something by their marks
    if "!" in marks and (bare[-1].isdigit() or bare[-2:-1] in ("", " ")):
        return text  # 5! and n! are factorials
    return bare


def _asks_about_case(lowered: str) -> bool:
    likely = "case" in lowered or "capital" in lowered or "punctuat" in lowered  # cheaper than the pattern
    return likely and _ABOUT_CASE.search(lowered) is not None


def _is_shouted(text: str) -> bool:
    """Whether a sentence is written in capitals: three words of two or more letters, not only abbreviations of two."""
    if not text.isupper() or not all(letter.isupper() for letter in text if letter.isalpha()):
        return False
    lengths = [len(word) for word in _LETTERS.findall(text)]
    return len(lengths) >= 3 and max(lengths) >= 3


def _fold_case(text: str, lowered: str) -> str:
    if not _is_english(lowered):
        return _fold_first(text)
    first, *rest = words = text.split(" ")
    if _is_shouted(text):
        return text if any(map(_keeps_case, words)) else lowered
    if _has_both_cases([first.lower(), *rest]):
        return text
    return " ".join([_fold_word(first, first=True), *(word if word.islower() else _fold_word(word) for word in rest)])


def _fold_first(text: str) -> str:
    """The text with a small letter at its beginning, where only that is a capital in the first word."""
    first, space, rest = text.partition(" ")
    begin = next((index for index, letter in enumerate(first) if letter.isalpha()), 0)
    after = first[begin + 1 :]
    return _fold_word(first, first=True) + space + rest if after == after.lower() else text


@lru_cache(maxsize=4096)
def _is_english(lowered: str) -> bool:
    """Whether each sentence opens as a question or an order in English."""
    sentences = SENTENCE_END.split(lowered.replace("’", "'"))
    return all(_english().kind(words_of(sentence)) for sentence in sentences if sentence.strip())


@cache
def _english() -> Openings:
    return Openings([rules_data()["languages"]["en"]])


@cache
def _cased() -> frozenset[str]:
    return frozenset(rules_data()["case"]["words"].split())


def _keeps_case(word: str) -> bool:
    """Whether a word is another one with a capital: Turkey and turkey, Windows and windows."""
    return any(
        part in _cased()
        or (len(part) > 4 and (part.removesuffix("s") in _cased() or part.removesuffix("es") in _cased()))
        for part in _PARTS.findall(word.lower())
    )


def _has_both_cases(words: list[str]) -> bool:
    """Whether a text has a word in two spellings, so that their difference may be what is asked about."""
    bare = {"i" if word == "I" else word for word in (word.strip(_AROUND) for word in words)}
    return len(bare) != len({word.lower() for word in bare})


def _fold_word(word: str, *, first: bool = False) -> str:
    lowered = word.lower()
    if lowered == word or lowered.startswith(("i'", "i’")):
        return lowered
    if not first and _keeps_case(word):
        return word
    letters = word if word.isalpha() else "".join(filter(str.isalpha, word))
    if len(letters) == 1:
        return lowered if letters == "I" or (first and letters == "A") else word
    if letters[:2].isupper():
        return word  # US, IT, MHz, MBps
    if not letters[1:].islower():
        return lowered if len(letters) > 3 else word  # iPhone and PayPal, but kWh, dB and pH
    if len(letters) > 2:
        return lowered
    # Two letters: a word in any case where a sentence begins with it (Is, Он), else a symbol: Mg is not mg.
    is_word = not lowered.isascii() or not _VOWELS.isdisjoint(lowered)
    return lowered if first and word[0].isupper() and is_word else word
