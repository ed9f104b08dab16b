"""Commands that look into the request log: requests, recipients."""

from __future__ import annotations

from collections.abc import Iterable

import click

from ..entries import plain_recipients, plain_request
from ..entries import recipients as who_got
from ..metrics import KEEP, RequestFilter, RequestRecord, reasons
from ..models import OutcomeKind
from ..text import UNKNOWN, milliseconds
from . import formats as words
from .shell import Exit, Shell, cli, command, namespace_option


@command(cli)
@click.option(
    "--find", help="Text in the prompt, the user, the request id, the caller or the key; case does not count."
)
@click.option("--outcome", type=click.Choice([kind.value for kind in OutcomeKind]), help="Only with this outcome.")
@click.option("--namespace", help="Only this namespace.")
@click.option("--model", help="Only this model.")
@click.option("--key", help="Only requests for the entry at this key.")
@click.option("--limit", type=click.IntRange(1, KEEP), default=20, show_default=True)
def requests(
    shell: Shell,
    find: str | None,
    outcome: str | None,
    namespace: str | None,
    model: str | None,
    key: str | None,
    limit: int,
) -> int:
    """List the latest requests one by one, newest first. Exit status 3 when there are none."""
    where = RequestFilter(
        text=find or None,
        kind=OutcomeKind(outcome) if outcome else None,
        namespace=namespace,
        model=model,
        key=key,
    )
    found = shell.shared.metrics.recent(limit, where)
    shell.answer([plain_request(record) for record in found], _table(found) or "No request matches.")
    return Exit.OK if found else Exit.NOTHING


@command(cli)
@click.argument("key")
@namespace_option
def recipients(shell: Shell, key: str, namespace: str | None) -> int:
    """Show who got the answer at KEY, of the latest requests. Exit status 3 when nobody is known to have."""
    services = shell.shared
    found = who_got(services.store, services.metrics, shell.namespace(namespace), key)
    lines = [f"{found.words(words.moment(found.since))}.", _table(found.got)]
    if found.got_earlier:
        lines += ["An earlier answer:", _table(found.got_earlier)]
    shell.answer(plain_recipients(found), "\n".join(filter(None, lines)))
    return Exit.OK if found.got or found.got_earlier else Exit.NOTHING


def _table(found: Iterable[RequestRecord]) -> str:
    rows = [
        (
            words.moment(record.at),
            f"{record.kind.value}, {record.detail.value}" if record.detail else record.kind.value,
            milliseconds(record.latency_ms),
            words.text(record.caller, 28) or UNKNOWN,
            words.text(record.user or "", 40) or UNKNOWN,
            words.text(record.request_id or "", 40) or UNKNOWN,
            words.text(record.model, 30),
            reasons.briefly(record.kind, record.detail, record.reason, record.not_stored),
            words.text(record.prompt or "", 80) or UNKNOWN,
        )
        for record in found
    ]
    header = ("Time", "Outcome", "Waited", "Caller", "User", "Request id", "Model", "Why", "Prompt")
    return words.table(rows, header=header) if rows else ""
