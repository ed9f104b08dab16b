"""A small model that says whether a stored answer answers a new question too."""

from .judge import ProviderJudge, SharedBudget
from .prompt import JudgeBudget

__all__ = ["JudgeBudget", "ProviderJudge", "SharedBudget"]
