"""What people ask: recorded questions in groups, each with its figures and its place on a map."""

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .making import Progress, Stopped
    from .questions import Questions
    from .report import Question, QuestionGroup, QuestionReport

__all__ = ["Progress", "Question", "QuestionGroup", "QuestionReport", "Questions", "Stopped"]

__getattr__ = lazily(
    __name__,
    making="Progress Stopped",
    questions="Questions",
    report="Question QuestionGroup QuestionReport",
)
