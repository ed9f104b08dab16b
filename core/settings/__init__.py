"""Settings: everything an operator may tune, read once from `ENCORE_*` variables and `.env`."""

from .settings import SHORTEST_SECRET, ProviderChoice, Settings

__all__ = ["SHORTEST_SECRET", "ProviderChoice", "Settings"]
