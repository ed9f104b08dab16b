"""A text as words and signs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .vocabulary import word_set, words

_TOKEN = re.compile(
    r"""
      (?P<coded>   c\+\+ | [cf]\# | (?:[^\W\d_]\.){2,} | °\s?[cf]\b )
    | (?P<number>  (?:(?<![^\s(=])[-−])? (?: \d{1,3}(?:,\d{3})+(?:\.\d+)? | \d+(?:[.:]\d+)* ) )
                   (?P<suffix>(?:st|nd|rd|th|k|['’]?s)\b)?
    | (?P<word>    [^\W\d_]+ (?: ['’] [^\W\d_]+ )* )
    | (?P<sign>    [$€£¥₹₩₽%&] | [+*/^=<>×÷] | (?<=\s)[-−](?=\s) | [.?!;:,] )
    """,
    re.VERBOSE | re.IGNORECASE,
)

_SIGN_WORDS = {
    "$": "dollar",
    "€": "euro",
    "£": "pound",
    "¥": "yen",
    "₹": "rupee",
    "₩": "won",
    "₽": "rouble",
    "%": "percent",
    "&": "and",
}
_OPERATORS = {sign: sign for sign in "+-*/^=<>"} | {"−": "-", "×": "*", "÷": "/"}

# With the apostrophe left out, as people write in chats.
_BARE_CONTRACTIONS = {
    word.replace("'", ""): word
    for word in words(
        """
    don't doesn't didn't isn't aren't wasn't weren't can't won't couldn't shouldn't wouldn't hasn't haven't hadn't
    mustn't ain't what's that's who's where's how's i'm i've you're they're
    """
    )
}
_NEGATED_AUXILIARIES = {"won't": "will", "can't": "can", "shan't": "shall", "ain't": "is"}
_SHORT_FORMS = ("'re", "'ve", "'ll", "'d", "'m")
_NOT_POSSESSIVE = word_set("what that who where how when why it he she there here let this everything")


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign: `word` folded and expanded, `raw` as written, `opens` at the start of a sentence."""

    word: str
    raw: str
    opens: bool = False


def tokenize(text: str) -> tuple[Token, ...]:
    """The words and signs of a text, contractions expanded, numbers in plain form."""
    tokens: list[Token] = []
    opens = True
    for match in _TOKEN.finditer(text):
        raw = match.group()
        if match["sign"]:
            if raw in ".?!;:":
                opens = True
            else:
                tokens.append(Token(_SIGN_WORDS.get(raw) or _OPERATORS.get(raw, raw), raw))
            continue
        if match["number"]:
            tokens.append(Token(_plain_number(match["number"], match["suffix"] or ""), raw))
        elif match["coded"]:
            tokens.append(_coded(raw, opens))
        elif raw.lower() in ("am", "pm") and tokens and tokens[-1].word[-1:].isdigit():
            tokens.append(Token(f"{raw[0].lower()}.m.", raw))
        else:
            tokens.extend(_expand(raw, opens))
        opens = False
    return tuple(tokens)


def _plain_number(digits: str, suffix: str) -> str:
    plain = digits.replace(",", "").replace("−", "-")
    if plain.count(".") == 1 and plain.rstrip("0").endswith("."):
        plain = plain.rstrip("0").removesuffix(".")
    if not plain.isdigit():
        return plain
    if suffix.endswith("s") and len(plain) == 4:  # the 1980s are the 80s and the eighties
        return plain[2:]
    return plain + "000" if suffix.lower() == "k" else plain


def _coded(raw: str, opens: bool) -> Token:
    """`C++`, `°F`, `a.m.` stay whole; the points of other abbreviations go: `U.S.` is `US`."""
    folded = raw.lower().replace(" ", "")
    if folded.endswith(".") and folded not in ("a.m.", "p.m."):
        return Token(folded.replace(".", ""), raw.replace(".", ""), opens)
    return Token(folded, raw, opens)


def _expand(raw: str, opens: bool) -> list[Token]:
    """One written word as one or two tokens: `don't` is `do not`, `Anna's` is `anna 's`."""
    raw = raw.replace("’", "'")
    word = raw.lower()
    word = _BARE_CONTRACTIONS.get(word, word)
    if word == "cannot":
        return [Token("can", raw, opens), Token("not", raw)]
    if word.endswith("n't"):
        return [Token(_NEGATED_AUXILIARIES.get(word, word[:-3]), raw, opens), Token("not", raw)]
    for ending in _SHORT_FORMS:
        if word.endswith(ending):
            return [Token(word.removesuffix(ending), raw.split("'")[0], opens)]
    if word.endswith("'s"):
        bare = Token(word[:-2], raw.split("'")[0], opens)
        return [bare] if bare.word in _NOT_POSSESSIVE else [bare, Token("'s", "'s")]
    return [Token(word, raw, opens)]
