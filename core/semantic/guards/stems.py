"""English words without their endings. Pure."""

from __future__ import annotations

from collections.abc import Iterator

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
