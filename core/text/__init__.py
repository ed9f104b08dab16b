"""Text and figures as people see them: what is safe to print, one way to write each figure, tables to export."""

from .export import to_csv, to_json_lines
from .figures import (
    UNKNOWN,
    cents,
    countdown,
    duration,
    exact_duration,
    many,
    milliseconds,
    money,
    number,
    points,
    share,
    size,
    utc,
)
from .forms import fold, fold_words, is_stream_safe, nfc, nfkc, plain_tags
from .hosts import host_name, is_address, is_loopback
from .logs import LineFormatter, log_lines
from .printable import LONGEST_NAME, in_url, is_name, printable, without_text
from .redaction import HIDDEN, looks_secret, masked, redacted

__all__ = [
    "HIDDEN", "LONGEST_NAME", "UNKNOWN", "LineFormatter", "cents", "countdown", "duration", "exact_duration",
    "fold", "fold_words", "host_name", "in_url", "is_address", "is_loopback", "is_name", "is_stream_safe",
    "log_lines", "looks_secret", "many", "masked", "milliseconds", "money", "nfc", "nfkc", "number", "plain_tags",
    "points", "printable", "redacted", "share", "size", "to_csv", "to_json_lines", "utc",
    "without_text",
]  # fmt: skip
