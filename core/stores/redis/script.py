"""Lua scripts: each is one step that nothing comes between, kept in a file of its own and called by its digest.

A script stands in the folder `scripts` beside the module that uses it. Numbers are written to commands as text: a
script would turn each into digits anew for every call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from .connection import packed
from .servers import Servers

Constant = int | bytes | Sequence[bytes]


def load_script(module_file: str, name: str, **constants: Constant) -> str:
    """The text of `scripts/{name}.lua` in the folder of a module, given by its `__file__`.

    `constants` are values that Python and the script share: a line in front defines them as Lua locals.
    """
    text = (Path(module_file).parent / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
    if not constants:
        return text
    return f"local {', '.join(constants)} = {', '.join(map(_lua, constants.values()))}\n{text}"


def _lua(value: Constant) -> str:
    """A literal of the language; bytes by their decimal numbers, whatever they are."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return "'" + "".join(f"\\{byte:03d}" for byte in value) + "'"
    return f"{{{', '.join(map(_lua, value))}}}"


class WholeScript(redis.commands.core.Script):
    """A script of the library, sent whole to a server that does not know it.

    The library would load it first, which a user may not be allowed to; where it is allowed, that is one trip more.
    """

    def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:
        """Runs the script. Returns its reply. Raises redis.RedisError."""
        client = client or self.registered_client
        if isinstance(client, redis.client.Pipeline):
            return super().__call__(keys, args, client)
        words = (len(keys or ()), *(keys or ()), *(args or ()))
        try:
            return client.evalsha(self.sha, *words)
        except redis.exceptions.NoScriptError:
            return client.eval(self.script, *words)


class Script:
    """A Lua script, called by its digest and sent whole to a server that does not know it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._digest = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def __call__(self, servers: Servers, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """Runs the script on the server that has the keys, which share one hash tag. Returns its reply. One round trip.

        Raises redis.RedisError.
        """
        return self.after(servers, [], keys, arguments)

    def after(
        self, servers: Servers, command: Sequence[bytes], keys: Sequence[bytes], arguments: Sequence[bytes]
    ) -> Any:
        """The same, in one round trip with a command that goes first and whose reply nobody looks at."""
        words = [b"%d" % len(keys), *keys, *arguments]
        first, count = (packed(command), 2) if command else (b"", 1)
        reply = servers.ask_all(keys[0], first + packed([b"EVALSHA", self._digest, *words]), count)[-1]
        if isinstance(reply, redis.exceptions.NoScriptError):
            return servers.ask(keys[0], packed([b"EVAL", self._text, *words]))
        if isinstance(reply, redis.RedisError):
            raise reply
        return reply
