"""What the guards read in a text: its words, numbers, negations, question, and the part each word plays.

Pure, and cheap: tens of microseconds for a question. It knows English and digits; in another language it still sees the
numbers and the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

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
_IDENTIFIER = re.compile(
    r"""
      (?<![\w-]) (?: -[A-Za-z]\b | --[A-Za-z][\w-]+ )      # -c, --force
    | \b \w+ _ \w+ \b                                      # snake_case
    | \b [a-z]{2,} [A-Z] \w* \b                            # camelCase
    | \b \w+ (?: \.\w+ ){0,8} \( \)                        # call(); bounded, as it is tried at every word
    | \b \w+ \. (?: py|js|ts|json|ya?ml|toml|md|txt|csv|html|css|sh|sql|java|go|rs|cpp|c|h ) \b
    | \b E [A-Z]{3,} \b                                    # ENOENT
    """,
    re.VERBOSE,
)
_NUMERONYM = re.compile(r"\b([a-z])(\d{1,2})([a-z])\b")


def _words(text: str) -> list[str]:
    return text.split()


def _word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
_OPERATOR_WORDS = {"plus": "+", "minus": "-", "times": "*"}

_SMALL_NUMBERS = _words(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """
)
_ORDINALS = _words(
    """
    zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth
    """
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_NUMBER_WORDS = (
    {word: value for value, word in enumerate(_SMALL_NUMBERS)}
    | {word: value for value, word in enumerate(_ORDINALS)}
    | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
    | {word.removesuffix("y") + "ieth": 10 * value for value, word in enumerate(_TENS, start=2)}
    | {word.removesuffix("y") + "ies": 10 * value for value, word in enumerate(_TENS, start=2)}
    | {"once": 1, "twice": 2, "thrice": 3, "dozen": 12}
)
_MULTIPLIERS = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ROMAN = {"II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13, "XIV": 14}
# As a pronoun or an adverb these say nothing of a number: "this one", "do I have to pay first".
_LOOSE_NUMBERS = frozenset({"one", "first", "once"})

# With the apostrophe left out, as people write in chats.
_BARE_CONTRACTIONS = {
    word.replace("'", ""): word
    for word in _words(
        """
    don't doesn't didn't isn't aren't wasn't weren't can't won't couldn't shouldn't wouldn't hasn't haven't hadn't
    mustn't ain't what's that's who's where's how's i'm i've you're they're
    """
    )
}
_NEGATED_AUXILIARIES = {"won't": "will", "can't": "can", "shan't": "shall", "ain't": "is"}
_SHORT_FORMS = ("'re", "'ve", "'ll", "'d", "'m")
_NOT_POSSESSIVE = _word_set("what that who where how when why it he she there here let this everything")
_IRREGULAR_PLURALS = {
    "feet": "foot",
    "men": "man",
    "women": "woman",
    "children": "child",
    "teeth": "tooth",
    "mice": "mouse",
    "geese": "goose",
    "lives": "life",
    "wives": "wife",
    "knives": "knife",
}

_AUXILIARIES = _word_set(
    """
    is are am was were be been being do does did can could will would shall should may might must has have had
    """
)
_PRONOUNS = _word_set("i you he she it we they me him her us them there this that these those")
_QUESTION_WORDS = _word_set("what which who whom whose where when why how if whether")

# `not` negates the word after it; these turn round the whole text.
_STRONG_NEGATIONS = _word_set(
    """
    without never none nobody nothing nowhere neither unable unless avoid avoids avoiding prevent prevents
    preventing except no
    """
)
_WEAK_ADVERBS = _word_set(
    """
    yet really actually even always fully properly correctly still currently longer only seem able ,
    """
)
_HEDGES = _word_set("know understand understood sure certain figure figured work idea clue clear remember")

# Words that carry grammar, not matter.
_GRAMMAR = (
    _AUXILIARIES
    | _PRONOUNS
    | _QUESTION_WORDS
    | _word_set(
        """
    a an the and or but so as than then to of in on at for from by with into onto about any some my your our
    their its his not no please just also get got want need like tell give show help hi hello hey thanks thank
    mean means percent
    """
    )
)
_MARKERS = {
    word: word
    for word in _words(
        """
    from to in on at of by for than before after over under above below without with inside outside through
    against toward until since via per
    """
    )
} | {"into": "to", "onto": "on", "towards": "toward", "till": "until"}
_COORDINATORS = _word_set("and or versus vs between nor")

_QUANTITIES = _word_set("many much big large tall far high deep heavy old fast wide")
_DURATIONS = _word_set("long soon quickly")
_WAYS = _word_set("to do can should could would does did")
_TIMES = _word_set("time day date")
_INDIRECT = _word_set("know me exactly wonder wondering")


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign: `word` folded and expanded, `raw` as written, `opens` at the start of a sentence."""

    word: str
    raw: str
    opens: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A word that carries matter: its stem, the preposition right before it, whether and/or stands before it."""

    stem: str
    marker: str
    coordinated: bool


class Wording:
    """A text as the guards see it. `wording_of` builds it and remembers recent ones."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokenize(text)
        self.words = tuple(token.word for token in self.tokens)

    @cached_property
    def word_count(self) -> int:
        """Words between white space, as a person counts them."""
        return len(self.text.split())

    @cached_property
    def word_set(self) -> frozenset[str]:
        """Every word, folded."""
        return frozenset(self.words)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stem of every word."""
        return frozenset(stem(word) for word in self.words)

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Every number in plain form, and arithmetic signs. A `?` at the end: may be a pronoun or an adverb."""
        return tuple(_numbers(self.tokens))

    @cached_property
    def identifiers(self) -> frozenset[str]:
        """Names of code: options, functions, files, error codes; as written."""
        return frozenset(_IDENTIFIER.findall(self.text))

    @cached_property
    def numeronyms(self) -> tuple[tuple[str, str, str], ...]:
        """Words like k8s: first letter, count of letters left out, last letter."""
        return tuple(_NUMERONYM.findall(self.text.lower()))

    @cached_property
    def negations(self) -> tuple[str, ...]:
        """Every negation that turns the meaning round: the stem of what a `not` negates, "" for without, never, no ...

        Politeness, tags, hedges and `or not` turn nothing round.
        """
        return tuple(_negations(self.words))

    @cached_property
    def asks(self) -> frozenset[str]:
        """What is asked for: reason, person, place, time, duration, frequency, quantity, way; empty when open."""
        return frozenset(_asks(self.words))

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The words that carry matter, in order."""
        return tuple(_parts(self.tokens))

    @cached_property
    def names(self) -> frozenset[str]:
        """Words capitalised inside a sentence, folded; none in headlines and in texts all in capitals."""
        return frozenset(_names(self.tokens))


@lru_cache(maxsize=4096)
def wording_of(text: str) -> Wording:
    """The wording of a text; recent ones are kept, since a stored question is a candidate again and again."""
    return Wording(text)


def stem(word: str) -> str:
    """The word without its commonest endings: enough to see that `cats` is `cat` and `closed` is `close`."""
    if word in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[word]
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4)):
        if len(word) >= least and word.endswith(ending) and not word.endswith("ss"):
            word = word.removesuffix(ending) + ("y" if ending == "ies" else "")
            if ending in ("ing", "ed") and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def base_forms(word: str) -> Iterator[str]:
    """What a dictionary may list the word under, the word itself first."""
    yield word
    if word in _IRREGULAR_PLURALS:
        yield _IRREGULAR_PLURALS[word]
    if len(word) < 4 or word.endswith("ss"):
        return
    if word.endswith("ies"):
        yield word.removesuffix("ies") + "y"
    if word.endswith("es"):
        yield word.removesuffix("es")
    if word.endswith("s"):
        yield word.removesuffix("s")
    for ending in ("ed", "ing"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3:
            yield root
            yield root + "e"
            if root[-1] == root[-2]:
                yield root[:-1]


def _tokenize(text: str) -> tuple[Token, ...]:
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


def _numbers(tokens: tuple[Token, ...]) -> Iterator[str]:
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token.word[-1:].isdigit():
            yield token.word
        elif token.raw in _ROMAN:
            yield str(_ROMAN[token.raw])
        elif _starts_number(tokens, position):
            value, after = _spoken_number(tokens, position)
            alone = after == position + 1 and token.word in _LOOSE_NUMBERS
            yield f"{value}?" if alone else str(value)
            position = after
            continue
        elif sign := _operator(tokens, position):
            yield sign
        position += 1


def _starts_number(tokens: tuple[Token, ...], position: int) -> bool:
    word = tokens[position].word
    before = tokens[position - 1].word if position else ""
    if word in _MULTIPLIERS:
        return not before[-1:].isdigit()
    if word == "second" and before in ("a", "per", "each", "every", "split", "1"):  # the unit of time
        return False
    return word in _NUMBER_WORDS


def _spoken_number(tokens: tuple[Token, ...], position: int) -> tuple[int, int]:
    """The value of the number words from here, and the position after them: `two hundred and five` is 205."""
    total = current = 0
    start = position
    while position < len(tokens):
        word = tokens[position].word
        if word == "and" and position > start and (current or total):
            following = tokens[position + 1].word if position + 1 < len(tokens) else ""
            if following not in _NUMBER_WORDS or not (current >= 100 or total):
                break
        elif word in _MULTIPLIERS:
            scale = _MULTIPLIERS[word]
            if scale == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * scale, 0
        elif word in _NUMBER_WORDS:
            value = _NUMBER_WORDS[word]
            room = value < 10 if current % 100 >= 20 and current % 10 == 0 else current % 100 == 0
            if position > start and not (room and (current or total)):
                break
            current += value
        else:
            break
        position += 1
    return total + current, position


def _operator(tokens: tuple[Token, ...], position: int) -> str:
    """The arithmetic sign at this position, when numbers stand beside it; "" otherwise."""
    word = tokens[position].word
    beside = [tokens[index].word for index in (position - 1, position + 1) if 0 <= index < len(tokens)]
    numeric = sum(other[-1:].isdigit() or other in _NUMBER_WORDS for other in beside)
    if word in _OPERATOR_WORDS:
        return _OPERATOR_WORDS[word] if numeric == 2 else ""
    return word if word in "+-*^=<>" and numeric else ""


def _negations(words: tuple[str, ...]) -> Iterator[str]:
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        after = words[index + 1 : index + 7]
        following = after[0] if after else ""
        if before == "or":  # whether or not
            continue
        if word == "not" or (word == "no" and following in ("longer", "idea", "clue")):
            if not _is_idle(words, index, before, following):
                matter = (later for later in after if later not in _GRAMMAR and later not in _WEAK_ADVERBS)
                yield stem(next(matter, ""))
        elif word in _STRONG_NEGATIONS and not (word == "no" and (following in ("", ",") or following[:1].isdigit())):
            yield ""


def _is_idle(words: tuple[str, ...], index: int, before: str, following: str) -> bool:
    """Whether the `not` at this place turns nothing round: not only, can't you ..., isn't it?, I don't know how."""
    if following == "only":
        return True
    if before in _AUXILIARIES and index == 1 and _is_polite(before, following):
        return True
    if before in _AUXILIARIES and index == len(words) - 2 and following in _PRONOUNS:
        return True
    return any(
        words[place] in _HEDGES and _QUESTION_WORDS.intersection(words[place + 1 : place + 4])
        for place in range(index + 1, min(index + 5, len(words)))
    )


def _is_polite(auxiliary: str, following: str) -> bool:
    """`Can't you tell me ...` asks what `Can you tell me ...` asks; `Don't delete ...` does not."""
    return following in _PRONOUNS or auxiliary in ("is", "are", "was", "were")


def _asks(words: tuple[str, ...]) -> Iterator[str]:
    for index, word in enumerate(words):
        before = words[index - 1] if index else ""
        after = words[index + 1] if index + 1 < len(words) else ""
        leads = index == 0 or before in _INDIRECT
        if word == "why":
            if after in _AUXILIARIES or (leads and after):
                yield "reason"
        elif word == "how" and after == "come":
            yield "reason"
        elif word == "how" and after in _QUANTITIES:
            yield "quantity"
        elif word == "how" and after in _DURATIONS:
            yield "duration"
        elif word == "how" and after == "often":
            yield "frequency"
        elif word == "how" and after in _WAYS:
            yield "way"
        elif word in ("who", "whom", "whose") and leads and after not in _WAYS:
            yield "person"
        elif word == "where" and (leads or after in _AUXILIARIES):
            yield "place"
        elif (word == "when" and after in _AUXILIARIES) or (
            word == "what" and leads and after in ("time", "day", "date")
        ):
            yield "time"


def _parts(tokens: tuple[Token, ...]) -> Iterator[Part]:
    marker, coordinated = "", False
    for position, token in enumerate(tokens):
        word = token.word
        if word in _MARKERS:
            marker = _MARKERS[word]
        elif word in _COORDINATORS:
            marker, coordinated = "", True
        elif _is_matter(token):
            owns = position + 1 < len(tokens) and tokens[position + 1].word == "'s"
            yield Part(stem(word), "'s" if owns else marker, coordinated)
            marker, coordinated = "", False
        elif word in _AUXILIARIES or word in _PRONOUNS or word in _QUESTION_WORDS:
            marker = ""


def _is_matter(token: Token) -> bool:
    if token.word == "a":  # "Is A a subset of B?"
        return token.raw == "A" and not token.opens
    return token.word not in _GRAMMAR and token.word not in ("'s", ",", "/")


def _names(tokens: tuple[Token, ...]) -> Iterator[str]:
    written = [token for token in tokens if token.raw[:1].isalpha()]
    capitalised = [token for token in written if token.raw[0].isupper()]
    if len(capitalised) > 0.6 * len(written):
        return
    for token in capitalised:
        acronym = len(token.raw) > 1 and token.raw.isupper()
        if token.raw not in ("I", "A") and token.word not in _GRAMMAR and (acronym or not token.opens):
            yield token.word
