"""Settings as people paste them: what is plainly meant is mended, the rest is refused in words that echo nothing."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any
from unicodedata import category
from urllib.parse import urlsplit

import msgspec

INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
"""What copying from a page or an editor leaves at the ends of a text, beside white space."""
QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»"}

_ENDPOINT = re.compile(r"(?:/chat/completions|/completions|/responses|/embeddings|/models)/*$")
_ASSIGNED = re.compile(r"(?:(?:export|set)\s+)?[A-Z][A-Z0-9_]*_KEYS?\s*=\s*(?!=|$)")
_BY_TYPE = {
    "int_parsing": "give a whole number alone, without unit and thousands separators",
    "int_from_float": "give a whole number",
    "float_parsing": "give a number alone, without unit and thousands separators, e.g. 3600 or 0.5",
    "bool_parsing": "use true or false",
}


def mended(text: str) -> str:
    """The text without white space, invisible characters and one pair of quotes around it."""
    text = _bare(text)
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1] and not set(text[1:-1]) & {text[0], text[-1]}:
        text = _bare(text[1:-1])
    return text


def _bare(text: str) -> str:
    before = None
    while text != before:
        before, text = text, text.strip().strip(INVISIBLE)
    return text


def on_one_line(text: str) -> str:
    """The text. Raises ValueError for a line break or another control character in it."""
    if any(category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("has a line break or another control character in it")
    return text


def listed(text: str, between: str = r"[,;\r\n]+") -> list[str]:
    """The parts of a list as people write them: by what is `between` them, or as JSON. Raises ValueError."""
    if text.startswith("["):
        try:
            return [mended(part) for part in msgspec.json.decode(text, type=list[str])]
        except msgspec.MsgspecError:
            raise ValueError("separate them by commas, without brackets") from None
    return [part for part in map(mended, re.split(between, text)) if part]


def keys(text: str) -> list[str]:
    """Several keys, each as a header can carry it; blanks are part of a key. Raises ValueError."""
    parts = [_token(part) for part in listed(text, r"[,\r\n]+")]
    if not all(re.fullmatch(r"[\x20-\x7e]+", part) for part in parts):
        raise ValueError("one of them has a character that no header can carry")
    return parts


def key(text: str) -> str:
    """A key as a header can carry it. Raises ValueError."""
    text = _token(text).rstrip(";,")
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError("has a blank or a character that no header can carry: give the key alone")
    return text


def _token(text: str) -> str:
    if assigned := _ASSIGNED.match(text):  # a whole line of an example or of an .env file
        text = mended(text[assigned.end() :].rstrip(";,"))
    return re.sub(r"^bearer\s+", "", text, flags=re.IGNORECASE)


def host(text: str) -> str:
    """An address or a name to listen on, without brackets. Raises ValueError."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ip_address(bare)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bare):
            raise ValueError("give an address or a name alone, without scheme and port, e.g. 127.0.0.1") from None
    return bare


def redis_url(text: str) -> str:
    """A Redis URL, its scheme in lower case. Raises ValueError for what no client would read as it was meant."""
    if re.search(r"\s", text) or "#" in text:
        raise ValueError("has a blank or a # in it: write %20 and %23 for them, in a password too")
    scheme, separator, rest = text.partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def base_url(text: str) -> str:
    """A base URL, without the endpoint that examples have behind it. Raises ValueError."""
    text = web_address(text)
    if text.count("://") > 1:
        raise ValueError("has more than one address in it: give one, e.g. https://llm.example.org/v1")
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError(
            "must not have a user or a password (…@): they would be sent instead of the key, which is OPENAI_API_KEY"
        )
    if "?" in text or "#" in text:
        raise ValueError("must not have a query (?…) or a fragment (#…): give the address alone")
    text = _ENDPOINT.sub("", text)
    return f"{text.rstrip('/')}/v1" if parts.netloc == "api.openai.com" and not parts.path.strip("/") else text


def web_address(text: str) -> str:
    """An address of the web, its scheme in lower case. Raises ValueError."""
    text = text.rstrip(";,")
    if re.search(r"[\s\\]", text):
        raise ValueError("has a blank or a backslash in it")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no address: look at its host and port") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must begin with http:// or https:// and name a host, e.g. https://llm.example.org")
    return parts.scheme + text[len(parts.scheme) :]


def problem(details: Any) -> str:
    """What is wrong with a value, as one line: that of the validator, or words for the kind of its error."""
    if details["type"] == "enum":
        return f"use {details['ctx']['expected'].replace(chr(39), '')}"
    return _BY_TYPE.get(details["type"]) or str(details["msg"]).removeprefix("Value error, ")
