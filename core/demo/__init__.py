"""The model, the answers and the questions that need no key."""

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .model import DemoProvider
    from .replay import Question, ReplayProgress, popular, read_questions, replay_questions, sample

__all__ = ["DemoProvider", "Question", "ReplayProgress", "popular", "read_questions", "replay_questions", "sample"]

__getattr__ = lazily(
    __name__, model="DemoProvider", replay="Question ReplayProgress popular read_questions replay_questions sample"
)
