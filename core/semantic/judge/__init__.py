"""A small model that says whether a stored answer answers a new question too."""

from .budget import JudgeBudget, SharedBudget
from .history import earlier_texts
from .judge import ProviderJudge, reasons_hidden

__all__ = ["JudgeBudget", "ProviderJudge", "SharedBudget", "earlier_texts", "reasons_hidden"]
