"""Text and figures as people see them: what is safe to print, tables to export."""

from .export import to_csv, to_json_lines
from .printable import masked, printable, without_text

__all__ = ["masked", "printable", "to_csv", "to_json_lines", "without_text"]
