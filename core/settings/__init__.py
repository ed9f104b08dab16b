"""Settings: everything an operator may tune, read once from `ENCORE_*` variables and `.env`."""

from .access import SHORTEST_SECRET
from .provider import ProviderChoice
from .settings import Settings, variable
from .unknown import unknown_settings

__all__ = ["SHORTEST_SECRET", "ProviderChoice", "Settings", "unknown_settings", "variable"]
