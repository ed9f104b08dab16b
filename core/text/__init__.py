"""Text and figures as people see them: what is safe to print, one way to write each figure, tables to export."""

from .export import to_csv, to_json_lines
from .figures import UNKNOWN, countdown, duration, exact_duration, many, milliseconds, money, number, share, size
from .forms import fold, is_stream_safe, nfc, nfkc
from .printable import LONGEST_NAME, is_name, masked, printable, without_text

__all__ = [
    "LONGEST_NAME",
    "UNKNOWN",
    "countdown",
    "duration",
    "exact_duration",
    "fold",
    "is_name",
    "is_stream_safe",
    "many",
    "masked",
    "milliseconds",
    "money",
    "nfc",
    "nfkc",
    "number",
    "printable",
    "share",
    "size",
    "to_csv",
    "to_json_lines",
    "without_text",
]
