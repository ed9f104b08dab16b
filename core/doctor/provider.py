"""Checks of the provider."""

from __future__ import annotations

from collections.abc import Iterator

from ..bootstrap import Services
from ..settings import ProviderChoice
from ..text import masked, milliseconds
from .findings import Finding, Level
from .probe import probe


def provider_findings(services: Services) -> Iterator[Finding]:
    """Findings on whether the provider answers. Costs a request to it."""
    settings = services.settings
    if settings.uses_demo_model:
        yield Finding(
            area="provider",
            level=Level.WARNING,
            text="Answers come from the demo model: they are made up here.",
            remedy="Set OPENAI_API_KEY, or OPENAI_BASE_URL for another server.",
        )
        return
    if settings.openai_api_key is None and settings.openai_base_url is None:
        yield Finding(
            area="provider",
            level=Level.ERROR,
            text=f"ENCORE_PROVIDER is {ProviderChoice.OPENAI.value}, but there is no key.",
            remedy="Set OPENAI_API_KEY, or OPENAI_BASE_URL for a server that needs none.",
        )
        return
    yield _provider_finding(services)


def _provider_finding(services: Services) -> Finding:
    import openai  # takes most of a second, which commands that ask no provider need not wait

    address = masked(services.provider.base_url)
    probed = probe(services.provider.models)
    if probed.value is not None:
        models = f"{len(probed.value)} {'model' if len(probed.value) == 1 else 'models'}"
        text = f"{address} answers in {milliseconds(probed.milliseconds)} and lists {models}."
        return Finding(area="provider", level=Level.OK, text=text)
    failure = probed.failure
    if isinstance(failure, openai.AuthenticationError | openai.PermissionDeniedError):
        return Finding(
            area="provider",
            level=Level.ERROR,
            text=f"{address} refuses the key.",
            remedy="Correct OPENAI_API_KEY.",
        )
    if isinstance(failure, openai.NotFoundError):
        text = f"{address} answers in {milliseconds(probed.milliseconds)}; it does not list its models."
        return Finding(area="provider", level=Level.OK, text=text)
    return Finding(
        area="provider",
        level=Level.ERROR,
        text=f"{address} cannot be reached ({probed.problem}).",
        remedy="Correct OPENAI_BASE_URL, or check the network.",
    )
