"""Commands that take a stored answer out of service: wrong, apart."""

from __future__ import annotations

import click
import msgspec

from ..entries import Verdict
from ..invalidation import plain_invalidation
from ..models import ChatRequest, Controls
from .invalidations import REASON, applied_words
from .shell import Exit, Shell, cli, command, namespace_option


@command(cli)
@click.argument("key")
@namespace_option
@click.option("--question", help="The question that it was served for, if not the stored one.")
@REASON
def wrong(shell: Shell, key: str, namespace: str | None, question: str | None, reason: str) -> int:
    """Call the answer at KEY wrong: no lookup finds it from now on. With --question the two questions are also labelled
    as different, so that no answer to the one is served for the other again.

    Status 1 when the answer is hidden but the questions could not be labelled.
    """
    verdict = shell.shared.verdicts.wrong(
        shell.namespace(namespace), key, actor=shell.trail, question=question, reason=reason
    )
    return _answer(shell, verdict)


@command(cli)
@click.argument("key")
@click.argument("question")
@namespace_option
@click.option("--model", help="The model that the question's request names. Default: that of the stored answer.")
@click.option("--system", help="A system message before the question.")
@click.option("--user", help="Who asks: part of the identity of personal questions.")
def apart(
    shell: Shell,
    key: str,
    question: str,
    namespace: str | None,
    model: str | None,
    system: str | None,
    user: str | None,
) -> int:
    """Call the answer at KEY wrong for QUESTION only: it stays for the question that it was given to.

    The request is made of the options; the answer is never served for it again. Give also what else its
    request had, such as a system message.
    """
    verdicts, where = shell.shared.verdicts, shell.namespace(namespace)
    messages = [{"role": "system", "content": system}] if system else []
    request = ChatRequest.from_openai(
        model=model or verdicts.stored(where, key).entry.header.model,
        messages=[*messages, {"role": "user", "content": question}],
    )
    verdict = verdicts.apart(where, key, request, Controls(user=user), actor=shell.trail)
    return _answer(shell, verdict)


def _answer(shell: Shell, verdict: Verdict) -> int:
    hidden = plain_invalidation(verdict.hidden) if verdict.hidden is not None else None
    plain = msgspec.to_builtins(verdict) | {"hidden": hidden}
    lines = [applied_words(verdict.hidden)] if verdict.hidden is not None else []
    if verdict.labelled:
        lines.append("The two questions are labelled as different: neither's answer is served for the other again.")
    if verdict.problem:
        lines.append(f"The questions could not be labelled: {verdict.problem}.")
    shell.answer(plain, "\n".join(lines))
    return Exit.FAILED if verdict.problem else Exit.OK
