"""Invalidations and previews as plain JSON: for the command line's --json and the operations API, in the same words."""

from __future__ import annotations

from typing import Any

import msgspec

from .preview import Preview
from .telling import Invalidation


def plain_invalidation(known: Invalidation) -> dict[str, Any]:
    """An invalidation as plain JSON, and whether it is in effect and can be undone."""
    plain: dict[str, Any] = msgspec.to_builtins(known)
    return plain | {
        "criteria": known.criteria.to_dict(),
        "can_undo": known.can_undo,
        "effective": known.effective,
    }


def plain_preview(preview: Preview) -> dict[str, Any]:
    """A preview as plain JSON, with its share and its token."""
    plain: dict[str, Any] = msgspec.to_builtins(preview)
    del plain["matched"]  # the token has it
    return plain | {"criteria": preview.criteria.to_dict(), "share": preview.share, "token": preview.token}
