"""What people ask: recorded questions in groups, each with its figures and its place on a map."""

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .making import Progress, Stopped
    from .questions import LEAST_SECONDS, Questions
    from .report import Question, QuestionGroup, QuestionReport

__all__ = ["LEAST_SECONDS", "Progress", "Question", "QuestionGroup", "QuestionReport", "Questions", "Stopped"]

__getattr__ = lazily(
    __name__,
    making="Progress Stopped",
    questions="LEAST_SECONDS Questions",
    report="Question QuestionGroup QuestionReport",
)
