"""Pure checks that refuse a pair of questions, each with its reason."""

from .checks import check

__all__ = ["check"]
