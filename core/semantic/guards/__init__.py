"""Pure checks that refuse a pair of questions, each with its reason."""

from .checks import Guard, check
from .data import codes
from .remainder import Comparison, compare
from .spoken import spoken
from .wording import Wording, wording_of

__all__ = ["Comparison", "Guard", "Wording", "check", "codes", "compare", "spoken", "wording_of"]
