"""Lists of English words by the part they play in a sentence: data for people to read and extend."""

from __future__ import annotations


def words(text: str) -> list[str]:
    """The words of a list, in order."""
    return text.split()


def word_set(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


AUXILIARIES = word_set(
    """
    is are am was were be been being do does did can could will would shall should may might must has have had
    """
)
PRONOUNS = word_set("i you he she it we they me him her us them there this that these those")
QUESTION_WORDS = word_set("what which who whom whose where when why how if whether")

# `not` negates the word after it; these turn round the whole text.
STRONG_NEGATIONS = word_set(
    """
    without never none nobody nothing nowhere neither unable unless avoid avoids avoiding prevent prevents
    preventing except no
    """
)
WEAK_ADVERBS = word_set(
    """
    yet really actually even always fully properly correctly still currently longer only seem able ,
    """
)
HEDGES = word_set("know understand understood sure certain figure figured work idea clue clear remember")

# Words that carry grammar, not matter.
GRAMMAR = (
    AUXILIARIES
    | PRONOUNS
    | QUESTION_WORDS
    | word_set(
        """
    a an the and or but so as than then to of in on at for from by with into onto about any some my your our
    their its his not no please just also get got want need like tell give show help hi hello hey thanks thank
    mean means percent
    """
    )
)
MARKERS = {
    word: word
    for word in words(
        """
    from to in on at of by for than before after over under above below without with inside outside through
    against toward until since via per
    """
    )
} | {"into": "to", "onto": "on", "towards": "toward", "till": "until"}
COORDINATORS = word_set("and or versus vs between nor")

QUANTITIES = word_set("many much big large tall far high deep heavy old fast wide")
DURATIONS = word_set("long soon quickly")
WAYS = word_set("to do can should could would does did")
TIMES = word_set("time day date")
INDIRECT = word_set("know me exactly wonder wondering")
