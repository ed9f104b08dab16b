"""The normal form of a text: what may be folded without changing what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

from ..text import is_stream_safe, nfc
from .certainty import (
    Certainty,
    certainty,
    has_two_meanings,
    is_acronym,
    is_english,
    is_everyday,
    is_name,
    is_plain_after,
    is_usual,
    names_a_work,
    without_shout,
)
from .phrases import TextKind
from .spelling import (
    LONGEST,
    has_remains,
    is_turkish,
    lower,
    lower_in_turkish,
    respell,
    respell_cautiously,
    with_mark_joined,
    without_opening_marks,
)

REMEMBERED = 4096

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


_LETTERS = re.compile(r"[^\W\d_]{2,}")


_AROUND = ".,!?;:()'’…"


_CLOSING = {TextKind.QUESTION: "?？؟;", TextKind.ORDER: "."}
"""The marks that may be missing: a question stays one without its mark, an order without a full stop."""
_CASELESS = re.compile("[\u0900-\u097f\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_ANY_CLOSING = ".!?…。！？؟।;"
_GREEK_QUESTION = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]\s*;\Z")
_SMALL = frozenset({"a", "an", "the", "of", "in", "on", "at", "to", "for", "and", "or", "by", "with", "from"})
_BEFORE_I = frozenset({"if", "when", "where", "because", "before", "after", "until", "since", "once", "while", "that"})
_BEFORE_I |= {
    "do",
    "does",
    "did",
    "can",
    "could",
    "will",
    "would",
    "should",
    "may",
    "might",
    "must",
    "am",
    "have",
    "had",
}
_BEFORE_I |= {"don't", "didn't", "can't", "couldn't", "won't", "wouldn't", "shouldn't", "haven't", "what", "how", "why"}


def is_literal(text: str) -> bool:
    """Whether a text has a sign of code, data or quotation: such a one is never folded further."""
    bare = nfc(text).strip()
    return _is_literal(bare) or ((spelt := respell(bare)) is not bare and _is_literal(spelt))


def is_unsure(text: str, kind: TextKind) -> bool:
    """Whether a question or an order may quote a text, so that only the case of its first word is folded."""
    return certainty(lower(respell(nfc(text).strip())), kind) is Certainty.UNSURE


def normalize(text: str, kind: TextKind, *, strip_stop_words: bool = False) -> str:
    """The normal form: folds only what cannot change the meaning. Empty: the strategy does not apply.

    Material is itself, but for Unicode NFC (a text that is not stream-safe has no normal form) and outer white space.
    Of a question and an order the case of the first word is folded; a text with any sign of code, data or quotation
    keeps it: `C`, `C++` and `C#`, `1.5` and `15`, `grep -F` and `grep -f` stay apart. White-space runs, the closing
    mark, spellings that only keyboards and copying tell apart (`respell`) and the case of other words are folded as far
    as it is sure that no text is quoted (`certainty`), and case only where it says nothing: of what is a name and
    nothing else, of `I`, and of everyday words where all words are in capitals or begin with one.
    """
    if not is_stream_safe(text):
        return ""
    bare = nfc(text).strip()
    if kind is TextKind.MATERIAL:
        return bare
    folded = _folded(bare, kind) if len(bare) <= LONGEST else _fold(bare, kind)
    return _without_stop_words(folded) if strip_stop_words and not is_literal(bare) else folded


def _fold(bare: str, kind: TextKind) -> str:
    spelt = respell(bare)
    if _is_literal(bare) or (spelt is not bare and _is_literal(spelt)):
        return bare
    lowered = lower(spelt)
    sure = Certainty.UNSURE if has_remains(spelt) else certainty(lowered, kind)
    if sure is Certainty.UNSURE:
        folded = respell_cautiously(bare, kind)
    else:
        folded = " ".join(spelt.split()) if sure is Certainty.SURE else spelt
        folded = _without_closing(with_mark_joined(folded, kind), _CLOSING[kind])
    folded = without_opening_marks(folded)
    if not any(map(str.isalnum, folded)):
        return ""
    if lower(folded) == folded:
        return nfc(folded)
    if sure is not Certainty.UNSURE and is_english(lowered):
        return nfc(_fold_case(folded))
    folded = without_shout(folded)
    if not is_turkish(lowered):
        return nfc(_fold_first(folded, lower))
    # What is asked about stands first: `C nedir?`.
    return nfc(folded if folded[1:2] in (" ", "'") else _fold_first(folded, lower_in_turkish))


_folded = lru_cache(maxsize=REMEMBERED)(_fold)


def normalize_loosely(text: str, *, strip_stop_words: bool = False) -> str:
    """What would be compared if no text could be material: only for counting what that caution costs."""
    if not is_stream_safe(text):
        return ""
    bare = nfc(text).strip()
    spelt = respell(bare)
    if _is_literal(bare) or (spelt is not bare and _is_literal(spelt)):
        return bare
    folded = nfc(lower(_without_closing(" ".join(spelt.split()), _ANY_CLOSING)))
    if not any(map(str.isalnum, folded)):
        return ""
    return _without_stop_words(folded) if strip_stop_words else folded


def _is_literal(bare: str) -> bool:
    # In Greek a semicolon asks.
    return _LITERAL.search(bare[:-1] if bare.endswith(";") and _GREEK_QUESTION.search(bare[-3:]) else bare) is not None


def _without_stop_words(folded: str) -> str:
    return " ".join(word for word in folded.split(" ") if word not in _STOP_WORDS) or folded


def _without_closing(text: str, closing: str) -> str:
    """The text without the marks it ends in, if all of them are closing ones."""
    bare = text.rstrip(_ANY_CLOSING)
    marks = text[len(bare) :]
    if not bare or bare[-1].isspace():
        # A mark that stands alone is what is asked about: "What is the meaning of !", "git add ."
        return text if bare else ""
    # "Really?!", "Tell me more?" and "Tell me more..." say something by their marks.
    return text if marks.strip(closing) or (closing == "." and marks != ".") else bare


def _is_shouted(text: str) -> bool:
    """Whether a sentence is written in capitals: three words of two or more letters, not only abbreviations of two."""
    if not text.isupper() or not all(letter.isupper() for letter in text if letter.isalpha()):
        return False
    lengths = [len(word) for word in _LETTERS.findall(text)]
    return len(lengths) >= 3 and max(lengths) >= 3


def _fold_case(text: str) -> str:
    """An English text without the capitals that say nothing."""
    words = text.split(" ")
    if _is_shouted(text):
        return _without_capitals(text, words)
    if _is_titled(words):
        return _without_capitals_of_title(text, words)
    if _has_both_cases([words[0].lower(), *words[1:]]):
        return text
    folded = [_fold_first(words[0], lower)]
    for word, after in pairwise([*words[1:], ""]):
        folded.append(word.lower() if _has_idle_capital(word, folded, after) else word)
    return " ".join(folded)


def _without_capitals(text: str, words: Sequence[str]) -> str:
    """A text in capitals in small letters, but for acronyms; as it is where a word may be another one in capitals."""
    lowered = [_bare(word).lower() for word in words]
    if has_two_meanings(lowered) or lowered[-1] == "it":
        return text
    folded = [words[0].lower()]
    for word, small in zip(words[1:], lowered[1:], strict=True):
        if is_acronym(small):
            folded.append(word)
        elif is_everyday(small) or is_name(small, folded) or is_plain_after(small, folded):
            folded.append(word.lower())
        else:
            return text
    return " ".join(folded)


def _without_capitals_of_title(text: str, words: Sequence[str]) -> str:
    """The same of a text in which each word begins with a capital. The title of a work keeps them."""
    if before := names_a_work([_bare(word).lower() for word in words]):
        return " ".join([*map(str.lower, words[:before]), *words[before:]])
    # A word in capitals is one of its own here: "What Is IT Support".
    return text if any(map(_stands_out, words)) else _without_capitals(text, words)


def _stands_out(word: str) -> bool:
    bare = _bare(word)
    is_one = any(letter.isupper() for letter in bare[1:])
    return is_one and not (bare.isupper() and (is_acronym(bare.lower()) or is_name(bare.lower(), ("",))))


def _has_idle_capital(word: str, before: Sequence[str], after: str) -> bool:
    """Whether a word inside a sentence means the same in small letters: a name and nothing else, or `I` with a verb."""
    lowered = word.lower()
    if lowered == word:
        return False
    if word == "I":
        return _bare(before[-1]) in _BEFORE_I and _bare(after.lower()) not in ("is", "was", "equals")
    return lowered.startswith(("i'", "i’")) or (
        is_usual(_bare(word).removesuffix("'s")) and is_name(_bare(lowered).removesuffix("'s"), before)
    )


def _fold_first(text: str, lower: Callable[[str], str]) -> str:
    """The text with a small letter at its beginning, where only that is a capital in the first word.

    Where letters have no case a sentence begins with none for itself: `Appleとは何ですか`, `C क्या है`.
    """
    first, space, rest = text.partition(" ")
    begin = next((index for index, letter in enumerate(first) if letter.isalpha()), 0)
    after = first[begin + 1 :]
    if after != after.lower() or _CASELESS.search(text):
        return text
    return lower(first) + space + rest


def _is_titled(words: Sequence[str]) -> bool:
    """Whether all words begin with a capital but for small ones, so that no capital says anything."""
    named = [bare for word in words if (bare := _bare(word)) and bare not in _SMALL]
    return len(named) > 2 and all(word[0].isupper() for word in named)


def _has_both_cases(words: list[str]) -> bool:
    """Whether a text has a word in two spellings, so that their difference may be what is asked about."""
    bare = {"i" if word == "I" else word for word in map(_bare, words)}
    return len(bare) != len({word.lower() for word in bare})


def _bare(word: str) -> str:
    return word.strip(_AROUND)
