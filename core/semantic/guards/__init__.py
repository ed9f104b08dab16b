"""Pure checks that refuse a pair of questions, each with its reason."""

from .checks import Guard, check
from .remainder import Comparison, compare

__all__ = ["Comparison", "Guard", "check", "compare"]
