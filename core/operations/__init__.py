"""The operations API: what pages and command line can do, over HTTP, for programs in any language.

The face is light: FastAPI is loaded when the first request has been let in.
"""

from .admission import Operations
from .operators import BELOW_A_PATH
from .problems import PATH

__all__ = ["BELOW_A_PATH", "PATH", "Operations"]
