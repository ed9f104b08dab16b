"""Settings: everything an operator may tune, read once from `ENCORE_*` variables and `.env`.

All problems are reported at once, with secrets masked. Nothing else in the project reads the environment. What was
pasted with blanks, line ends, quotes or the like around it is read without.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ..errors import InvalidSettings
from .access import AccessSettings
from .cache import CacheSettings
from .environment import environment_problems
from .fields import FROM_JSON
from .gateway import GatewaySettings
from .mending import host, key, keys, listed, mended, on_one_line, problem
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
        env_prefix="ENCORE_",
        env_file=".env",
        env_file_encoding="utf-8-sig",  # editors of Windows begin a file with a mark
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _mend(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or info.field_name is None:
            return value
        field = cls.model_fields[info.field_name]
        text = mended(value)
        return _read(info.field_name, field, text) if text else field.get_default(call_default_factory=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings([_problem(details) for details in error.errors(include_input=False)]) from None
        except UnicodeDecodeError:
            raise InvalidSettings([".env: is not UTF-8 text"]) from None
        except OSError as error:
            raise InvalidSettings([f".env: cannot be read ({error.strerror})"]) from None
        # The demo model is reached through no proxy.
        if not self.uses_demo_model and (problems := environment_problems(os.environ)):
            raise InvalidSettings(problems)


def _read(name: str, field: FieldInfo, text: str) -> Any:
    """A value as its kind of setting is read. Raises ValueError."""
    if FROM_JSON in field.metadata:
        return text
    if NoDecode in field.metadata:
        return keys(text) if name.endswith("_keys") else list(map(on_one_line, listed(text)))
    on_one_line(text)
    if name.endswith("_key"):
        return key(text)
    if name.endswith("_host"):
        return host(text)
    is_word = isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum)
    return text.lower() if is_word else text


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return name.upper() if name.startswith("openai_") else f"ENCORE_{name.upper()}"


def _problem(details: Any) -> str:
    if not details["loc"]:  # of several settings together; it names them
        return problem(details)
    where = variable(str(details["loc"][0]).lower())
    for part in details["loc"][1:]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{where}: {problem(details)}"
