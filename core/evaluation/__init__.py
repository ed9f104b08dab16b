"""How many labelled questions a cache serves rightly and wrongly, and how many it would show to a judge."""

from .counts import Counts, Evaluation, Limit, interval
from .labelled import Labelled, LabelledPair, LabelledQuestion, Messages, read_labelled
from .measuring import Asked, Verdict, evaluate
from .whole_cache import WholeCache

__all__ = [
    "Asked", "Counts", "Evaluation", "Labelled", "LabelledPair", "LabelledQuestion", "Limit", "Messages",
    "Verdict", "WholeCache", "evaluate", "interval", "read_labelled",
]  # fmt: skip
