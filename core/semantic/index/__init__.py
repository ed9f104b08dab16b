"""Where the vectors of stored questions are found again."""

from typing import TYPE_CHECKING

from ...lazy import lazily

if TYPE_CHECKING:
    from .blas import SingleThreadedBlas
    from .log import IndexFollower, VectorLog
    from .numpy_index import Candidate, NumpyIndex, OtherRows, Partition, Row, SemanticIndex
    from .replication import SharedVectors
    from .vector_sets import RebuiltSets, VectorSetIndex, has_vector_sets

__all__ = [
    "Candidate",
    "IndexFollower",
    "NumpyIndex",
    "OtherRows",
    "Partition",
    "RebuiltSets",
    "Row",
    "SemanticIndex",
    "SharedVectors",
    "SingleThreadedBlas",
    "VectorLog",
    "VectorSetIndex",
    "has_vector_sets",
]

__getattr__ = lazily(
    __name__,
    blas="SingleThreadedBlas",
    log="IndexFollower VectorLog",
    numpy_index="Candidate NumpyIndex OtherRows Partition Row SemanticIndex",
    replication="SharedVectors",
    vector_sets="RebuiltSets VectorSetIndex has_vector_sets",
)
