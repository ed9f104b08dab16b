"""Settings: everything an operator may tune, read once from `ENCORE_*` variables and `.env`.

All problems are reported at once, with secrets masked. Nothing else in the project reads the environment.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ..errors import InvalidSettings
from .access import AccessSettings
from .cache import CacheSettings
from .gateway import GatewaySettings
from .operation import OperationSettings
from .provider import ProviderSettings
from .semantic import SemanticSettings
from .servers import ServerSettings


# Pydantic takes the fields of the last base first: in the docs and in reports of problems they come in this order,
# read upwards.
class Settings(
    OperationSettings,
    AccessSettings,
    GatewaySettings,
    ProviderSettings,
    SemanticSettings,
    CacheSettings,
    ServerSettings,
    BaseSettings,
):
    """The effective configuration. Raises InvalidSettings with every problem found.

    Durations are seconds unless the name says otherwise.
    """

    # Empty is unset: templates of .env files and containers leave variables empty.
    model_config = SettingsConfigDict(
        env_prefix="ENCORE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings([_problem(details) for details in error.errors(include_input=False)]) from None
        except UnicodeDecodeError:
            raise InvalidSettings([".env: is not UTF-8 text"]) from None


def _problem(details: Any) -> str:
    if not details["loc"]:  # of several settings together; it names them
        return str(details["msg"]).removeprefix("Value error, ")
    name = str(details["loc"][0])
    variable = name.upper() if name.upper().startswith("OPENAI_") else f"ENCORE_{name.upper()}"
    for part in details["loc"][1:]:
        variable += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{variable}: {details['msg'].removeprefix('Value error, ')}"
