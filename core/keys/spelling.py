"""Spellings of a text between which nothing is said: what keyboards, word processors and copying leave in it.

A spelling is given up only where the text has one of it throughout: whoever writes two of them may ask how they differ.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from ..text import nfc, nfkc
from .phrases import SENTENCE_END, Openings, TextKind, rules_data, words_of

LONGEST = 300
"""Characters of a question or an order; what is longer brings material with it."""

_DIRECTIONS = "\u200e\u200f\u061c\u202a-\u202c\u2066-\u2069"
_INVISIBLE = f"\u200b\u2060\ufeff\u00ad{_DIRECTIONS}"
_MARKS = ".!?…。！？؟।"
_BLANKS = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_APOSTROPHES = "’‘ʼ´＇"
_FULL_WIDTH = "０-９Ａ-Ｚａ-ｚ"
_HALF_WIDTH_KANA = "\uff66-\uff9f"
_ARABIC_FORMS = "\ufb50-\ufbb1\ufbd3-\ufdef\ufe70-\ufefc"
_LIGATURES = "ﬀ-ﬆ"

_ANY = re.compile(
    f"[{_INVISIBLE}\u200c\u200d{_BLANKS}{_APOSTROPHES}{_FULL_WIDTH}{_HALF_WIDTH_KANA}{_ARABIC_FORMS}{_LIGATURES}"
    "ـß\ufe0e\ufe0f🙂🙏👍😊]"
)
"""Any character of which a spelling is given up: most texts have none."""

_OUTER = re.compile(rf"\A[\s{_INVISIBLE}]+|(?<=[\w{_MARKS}])[{_INVISIBLE}]+\Z")
_OVERRIDES = re.compile("[\u202d\u202e]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff]")
_ANY_DIRECTION = re.compile(f"[{_DIRECTIONS}]")
_JOINERS = re.compile(
    "(?<![\u0590-\u1fff\u2190-\ufaff\ufb07-\uff00\uff66-\U0001ffff\u200c\u200d])[\u200c\u200d]++(?![\u0590-\u1dff\u2190-\u2fff\U0001f000-\U0001ffff])"
)
_HIDDEN = re.compile(f"[{_INVISIBLE}\u200c\u200d]")
_ANY_INVISIBLE = re.compile(f"[{_INVISIBLE}]")
_REMAINS = re.compile(f"[{_INVISIBLE}\u202d\u202e🙂🙏👍😊]")
_STANDS_ALONE = re.compile(rf"(?<!\S)[{_MARKS}]*[{_INVISIBLE}\u200c\u200d][{_MARKS}{_INVISIBLE}\u200c\u200d]*(?!\S)")
_INSIDE = re.compile(rf"\w[{_INVISIBLE}\u200c\u200d]+\w")
_CODE = re.compile(r"\d|_|[^\W\d_][A-Z](?![A-Z]*\Z)|[a-z][A-Z]")
_APOSTROPHE = re.compile(rf"(?<=[^\W\d_])[{_APOSTROPHES}](?=[^\W\d_])")
_CONTRACTION = re.compile(
    rf"(?<=[^\W\d_])[{_APOSTROPHES}](?=(?:s|t|m|d|re|ve|ll)(?!\w))"
    rf"|(?:(?<=\b[cdjlmnst])|(?<=\b(?:qu|un)))[{_APOSTROPHES}](?=[^\W\d_])",
    re.IGNORECASE,
)
_ONE_BLANK = re.compile("(?<!\\s)[\u00a0\u202f](?!\\s)")
_TATWEEL = re.compile("(?<=[\u0620-\u063f\u0641-\u064a\u066e-\u06d3])ـ+(?=[\u0620-\u063f\u0641-\u064a\u066e-\u06d3])")
# A letter that stands alone may be asked about: `What is ﬁ?`.
_FORMS = re.compile(
    f"(?<=[\u0620-\u06d3{_ARABIC_FORMS}])[{_ARABIC_FORMS}]+|[{_ARABIC_FORMS}]+(?=[\u0620-\u06d3{_ARABIC_FORMS}])"
)
_LIGATURE = re.compile(f"(?<=[a-zA-Z{_LIGATURES}])[{_LIGATURES}]|[{_LIGATURES}](?=[a-z{_LIGATURES}])")
_KANA = re.compile("[\uff66-\uff9f]{2,}")
_WIDE_KANA = re.compile("[\u30a1-\u30fc]")
_WIDE = {ord(wide): wide_to for wide, wide_to in ((chr(0xFEE0 + code), chr(code)) for code in range(0x21, 0x7F))}
_WIDE_ALNUM = re.compile(f"[{_FULL_WIDTH}]")
_NARROW_ALNUM = re.compile("[0-9A-Za-z]")
_NOT_LATIN = re.compile("[\u2e80-\u2fff\u3001-\ufaff]")
_SELECTED = re.compile("([\u203c-\u3299\U0001f000-\U0001faff])([\ufe0e\ufe0f])(?![\ufe0e\ufe0f])")
_OPENING_MARK = re.compile(r"(?:\A|(?<=, ))([¿¡])(?=\w)")
_MARKS_APART = re.compile(rf"(?<![\s{_MARKS}])[\s{_MARKS}]+\Z")
_WORD = re.compile(r"\w+")
_AROUND = _MARKS + ",;:()'¿¡" + "\u200b\u2060\ufeff\u00ad\u200e\u200f\u061c"


def respell(text: str) -> str:
    """A text, composed and stripped, in the one spelling of each of its words; as it is where it has two of one."""
    if text.isascii() or len(text) > LONGEST or not _ANY.search(text):
        return text
    text = _without_emoji(_in_any_text(text))
    if _OVERRIDES.search(text) or _STANDS_ALONE.search(text) or _hides_in_code(text):
        return text
    folded = _in_any_text(nfc(_JOINERS.sub("", _ANY_INVISIBLE.sub("", text))))
    folded = _APOSTROPHE.sub("'", _ONE_BLANK.sub(" ", folded))
    folded = _LIGATURE.sub(_compatible, _without_selectors(_in_one_width(folded)))
    return folded if _has_one_spelling(text, folded) else text


def has_remains(text: str) -> bool:
    """Whether a text keeps characters that are given up elsewhere: they may be what is asked about."""
    return not text.isascii() and _REMAINS.search(text) is not None


def respell_cautiously(text: str, kind: TextKind) -> str:
    """The same of a text that may quote another one: only what stands around it, and what cannot be code."""
    if len(text) > LONGEST:
        return text
    if not text.isascii() and _ANY.search(text):
        text = _in_any_text(text)
    if text[-1:] in _MARKS and _opens_in_french(text):
        text = with_mark_joined(text, kind)
    return text


def with_mark_joined(text: str, kind: TextKind) -> str:
    """A text without blanks before its closing marks, unless they are what is asked about: `what is ?`."""
    said = _MARKS_APART.sub("", text) if text[-1:] in _MARKS else text
    marks = "".join(text[len(said) :].split())
    if not text[len(said) :][:1].isspace() or marks.strip(marks[-1]) or kind is TextKind.MATERIAL:
        return text
    words = words_of(lower(said))
    rules = _rules()
    if not words or _dangles(words) or words[-1].endswith(rules.dangling_signs):
        return text
    if len(words) < 3 and not (said.endswith(rules.ends) or rules.unspaced.search(said)):
        return text
    return said + marks


def without_opening_marks(text: str) -> str:
    """A question or an order without the mark that opens it, where it reads as one without it too."""
    found = _OPENING_MARK.search(text)
    if found is None or text.count(found[1]) > 1 or (found[1] == "¡" and not text.endswith("!")):
        return text
    bare = text[: found.start(1)] + text[found.end(1) :]
    return bare if _opens(bare) else text


def lower(text: str) -> str:
    """A text in small letters; a capital i with a dot is the letter i."""
    return text.replace("İ", "i").lower() if "İ" in text else text.lower()


def lower_in_turkish(text: str) -> str:
    """A text in the small letters of Turkish, where the capital of ı has no dot."""
    return lower(text.replace("I", "ı"))


def is_turkish(lowered: str) -> bool:
    """Whether a text in small letters opens or ends as a question or an order in Turkish, and in no other language."""
    rules = _rules()
    words = words_of(lowered.rstrip(_MARKS))
    is_one = bool(rules.turkish.kind(words)) or " ".join(words).endswith(rules.turkish_ends)
    return is_one and rules.others.kind(words) is None


def _in_any_text(text: str) -> str:
    """What is given up in any plain text: nothing that a machine would read, nor a mark of another text."""
    folded = _OUTER.sub("", text)
    if _RIGHT_TO_LEFT.search(folded) and not _OVERRIDES.search(folded):
        folded = _FORMS.sub(_compatible, _TATWEEL.sub("", _ANY_DIRECTION.sub("", folded)))
    folded = _CONTRACTION.sub("'", folded)
    if "ß" in folded:
        folded = _WORD.sub(_in_swiss, folded)
    return folded if _has_one_spelling(text, folded) else text


def _without_emoji(text: str) -> str:
    """A text without the friendly emoji after its closing mark, unless something in it may point at them."""
    rules = _rules()
    bare = text.rstrip(rules.after_marks)
    if rules.friendly.isdisjoint(text[len(bare) :]) or bare[-1:] not in (*_MARKS, ";"):
        return text
    lowered = lower(bare)
    words = words_of(lowered.rstrip(_MARKS))
    if not words or _dangles(words) or not rules.pointing[_opens(bare, rules.english)].isdisjoint(words):
        return text
    return text if rules.pointing_signs.search(lowered) else bare


def _dangles(words: Sequence[str]) -> bool:
    return words[-1] in _rules().dangling and words[-2:] != ["stand", "for"]


def _hides_in_code(text: str) -> bool:
    """Whether what cannot be seen stands inside a word that may be code, a name of one or a password."""
    return any(_INSIDE.search(word) and _CODE.search(_HIDDEN.sub("", word)) for word in text.split())


def _has_one_spelling(text: str, folded: str) -> bool:
    """Whether no word of the text has two spellings that are folded into one."""
    before, after = text.split(), folded.split()
    if len(before) != len(after):
        return False
    seen: dict[str, str] = {}
    for given, one in zip(before, after, strict=True):
        spelt = given.strip(_AROUND).lower()
        if seen.setdefault(one.strip(_AROUND).lower(), spelt) != spelt:
            return False
    return True


def _in_one_width(text: str) -> str:
    """A text in the usual widths of letters and digits, where it has one of the two throughout."""
    if _WIDE_ALNUM.search(text) and not _NARROW_ALNUM.search(text):
        if _NOT_LATIN.search(text):
            text = _WIDE_ALNUM.sub(_compatible, text)
        else:
            text = text.translate(_WIDE).replace("\u3000", " ")
    return text if _WIDE_KANA.search(text) else _KANA.sub(_compatible, text)


def _without_selectors(text: str) -> str:
    """A text without what chooses the look of its signs, where that is the same throughout."""
    found = _SELECTED.findall(text)
    if not found or len({selector for _, selector in found}) > 1:
        return text
    signs = {sign for sign, _ in found}
    is_bare_elsewhere = sum(letter in signs for letter in text) != len(found)
    return text if is_bare_elsewhere else _SELECTED.sub(r"\1", text)


def _in_swiss(word: re.Match[str]) -> str:
    """A German word with `ss` for `ß`, where both are one word."""
    return word[0].replace("ß", "ss") if word[0] in _rules().sharp else word[0]


def _compatible(found: re.Match[str]) -> str:
    return nfkc(found[0])


def _opens_in_french(text: str) -> bool:
    return _opens(text, _rules().french)


def _opens(text: str, openings: Openings | None = None) -> bool:
    openings = openings or _rules().openings
    sentences = [one for one in SENTENCE_END.split(lower(text).replace("’", "'")) if one.strip()]
    return bool(sentences) and all(openings.kind(words_of(one)) for one in sentences)


class _Rules:
    """What `plain_texts.toml` says of spellings."""

    def __init__(self) -> None:
        data = rules_data()
        spellings, languages = data["spellings"], data["languages"]
        self.friendly = frozenset(spellings["friendly"])
        self.after_marks = (
            spellings["friendly"]
            + " \u00a0\u202f\ufe0f"
            + "".join(filter(_ANY_INVISIBLE.match, map(chr, range(1 << 16))))
        )
        self.pointing = {True: frozenset(spellings["pointing"]), False: frozenset(spellings["pointing_elsewhere"])}
        self.pointing_signs = re.compile("|".join(map(re.escape, spellings["pointing_signs"])))
        self.dangling = frozenset(spellings["dangling"])
        self.dangling_signs = tuple(spellings["dangling_signs"])
        self.unspaced = re.compile("[\u3040-\u30ff\u3400-\u9fff]{3}")
        self.sharp = frozenset(spellings["sharp"].split())
        self.openings = Openings(languages.values())
        self.english = Openings([languages["en"]])
        self.french = Openings([languages["fr"]])
        self.turkish = Openings([languages["tr"]])
        self.others = Openings(rules for name, rules in languages.items() if name != "tr")
        self.turkish_ends = (*languages["tr"]["ends"], *languages["tr"]["order_ends"])
        self.ends = tuple(
            end for rules in languages.values() for name in ("ends", "order_ends") for end in rules.get(name, ())
        )


@cache
def _rules() -> _Rules:
    return _Rules()
