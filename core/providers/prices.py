"""What a completion costs, from the price table that ships with `genai-prices`: no network, no guesses.

The demo model has a made-up price so that a newcomer sees money being saved; it says so in its `source`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ..models import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

DEMO_MODEL_PREFIX: Final = "encore-demo"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for one call. `source` is "demo" for the demo model's made-up price."""

    usd: float
    source: Literal["list", "demo"]


class _DemoRate(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens. Invented: in the range of what real models of that size cost."""

    input_usd: float
    output_usd: float


_DEMO_RATES = {
    "encore-demo-small": _DemoRate(input_usd=0.15, output_usd=0.60),
    "encore-demo-large": _DemoRate(input_usd=2.50, output_usd=10.00),
    "encore-demo-embedding": _DemoRate(input_usd=0.02, output_usd=0.00),
}

# Names under which routers know a provider that the price table calls otherwise.
_PROVIDERS = {
    "azure_ai": "azure",
    "bedrock": "aws",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "models": "google",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
    "z-ai": "zai",
}
# OpenAI's, by name alone; the price table asks for the provider.
_OPENAI_PREFIXES = ("text-embedding-", "chatgpt-", "ft:gpt-")


def price(model: str, usage: Usage, at: datetime | None = None) -> float | None:
    """US dollars for one call, None when the price is not known. Never raises.

    Give the model that answered (the completion's own `model`), so that answers of the demo model are priced as such.
    `at` is when the call was made (now when not given): some prices change with the date or the hour.
    """
    quote = quote_price(model, usage, at)
    return None if quote is None else quote.usd


def quote_price(model: str, usage: Usage, at: datetime | None = None) -> Price | None:
    """The price and where it comes from, None when it is not known. Never raises."""
    if min(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) < 0:
        return None
    if model.startswith(DEMO_MODEL_PREFIX):
        return _quote_demo(model, usage)
    listed = _listed(model)
    if listed is None:
        return None
    provider, info = listed
    moment = at or datetime.now(UTC)
    try:
        prices = info.get_prices(moment)
        charged = [("input_mtok", usage.input_tokens), ("output_mtok", usage.output_tokens)]
        if any(tokens and getattr(prices, unit, None) is None for unit, tokens in charged):
            return None
        if (usd := _plain_cost(prices, usage)) is not None:
            return Price(usd=float(usd), source="list")
        from genai_prices import Usage as ListedUsage

        cost = info.calc_price(
            ListedUsage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cached_input_tokens or None,
            ),
            provider,
            genai_request_timestamp=moment,
        )
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # Counts that contradict each other (more cached than read) have no price.
        return None
    return Price(usd=float(cost.total_price), source="list")


def _plain_cost(prices: ModelPrice, usage: Usage) -> Decimal | None:
    """The sum where tokens are all that is paid for, at one price a kind; else None.

    Equal to the table's own calculation, which takes longer than everything else about storing an answer.
    """
    rates = (prices.input_mtok or Decimal(0), prices.output_mtok or Decimal(0))
    if usage.cached_input_tokens or prices.requests_kcount is not None:
        return None
    paid = Decimal(0)
    for rate, tokens in zip(rates, (usage.input_tokens, usage.output_tokens), strict=True):
        if not isinstance(rate, Decimal):
            return None
        paid += rate * tokens / 1_000_000
    return paid


def _quote_demo(model: str, usage: Usage) -> Price | None:
    rate = _DEMO_RATES.get(model.split(" ", 1)[0])
    if rate is None:
        return None
    usd = (usage.input_tokens * rate.input_usd + usage.output_tokens * rate.output_usd) / 1_000_000
    return Price(usd=usd, source="demo")


# Bounded, because callers choose the names.
@lru_cache(maxsize=1024)
def _listed(model: str) -> tuple[Provider, ModelInfo] | None:
    # Imported here: the table takes a quarter of a second to load, and only those who compute pay for it.
    from genai_prices.data_snapshot import get_snapshot

    table = get_snapshot()
    providers = {provider.id for provider in table.providers}
    name = model.strip().lower()
    attempts: list[tuple[str | None, str]] = [(None, name)]
    prefix, slash, rest = name.partition("/")
    provider = _PROVIDERS.get(prefix, prefix)
    if slash and provider in providers:
        attempts.append((provider, rest))
    if name.startswith(_OPENAI_PREFIXES):
        attempts.append(("openai", name))
    for provider_id, reference in attempts:
        try:
            return table.find_provider_model(reference, None, provider_id, None)
        except LookupError:
            continue
    return None
