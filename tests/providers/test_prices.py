"""Money is computed from listed prices or not at all."""

from datetime import UTC, datetime

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from core.models import Usage
from core.providers.prices import Price, _plain_cost, price, quote_price

MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
# Dated, so that a change of a list price in a later table does not change the answers.
AT = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4o", 12.50),
        ("gpt-4o-2024-08-06", 12.50),
        ("openai/gpt-4o", 12.50),
        ("OpenAI/GPT-4o", 12.50),
        ("azure/gpt-4o", 12.50),
        ("openrouter/openai/gpt-4o", 12.50),
        ("gpt-4o-mini", 0.75),
        ("xai/grok-3", 18.00),
    ],
)
def test_a_known_model_costs_its_list_price(model, usd):
    assert price(model, MILLION, AT) == pytest.approx(usd)
    assert quote_price(model, MILLION, AT) == Price(usd=pytest.approx(usd), source="list")


@pytest.mark.parametrize("model", ["gemini/gemini-2.5-flash", "gemini-2.5-flash", "models/gemini-2.5-flash"])
def test_a_router_prefix_changes_nothing(model):
    assert price(model, MILLION, AT) == price("google/gemini-2.5-flash", MILLION, AT) is not None


@pytest.mark.parametrize(
    "model",
    ["", "foo", "llama3", "gpt-9", "gpt-4o-mytuned", "my-openai/gpt-4o", "qwen2.5:7b", "openai/", "/", "\ud800"],
)
def test_an_unknown_model_has_no_price(model):
    assert price(model, MILLION, AT) is None


def test_tokens_the_provider_had_cached_cost_less():
    usage = Usage(input_tokens=1_000_000)
    cached = Usage(input_tokens=1_000_000, cached_input_tokens=1_000_000)
    assert price("gpt-4o", usage, AT) == pytest.approx(2.50)
    assert price("gpt-4o", cached, AT) == pytest.approx(1.25)


def test_an_embedding_costs_its_input():
    assert price("text-embedding-3-small", Usage(input_tokens=1_000_000), AT) == pytest.approx(0.02)


def test_tokens_of_a_kind_without_a_price_make_the_price_unknown():
    assert price("text-embedding-3-small", MILLION, AT) is None


def test_counts_that_contradict_each_other_have_no_price():
    assert price("gpt-4o", Usage(input_tokens=1, cached_input_tokens=5), AT) is None
    assert price("gpt-4o", Usage(input_tokens=-5), AT) is None


def test_no_tokens_cost_nothing():
    assert price("gpt-4o", Usage(), AT) == 0.0


def test_the_date_of_the_call_decides():
    assert price("o3", MILLION, datetime(2025, 6, 9, 12, tzinfo=UTC)) == pytest.approx(50.0)
    assert price("o3", MILLION, datetime(2025, 6, 11, 12, tzinfo=UTC)) == pytest.approx(10.0)


@pytest.mark.parametrize("asked", ["encore-demo-large", "encore-demo-large (standing in for gpt-4o)"])
def test_the_price_of_the_demo_model_is_marked_as_made_up(asked):
    assert quote_price(asked, MILLION) == Price(usd=12.50, source="demo")


def test_only_the_demo_models_that_exist_have_a_price():
    assert price("encore-demo-huge", MILLION) is None


@given(st.text(max_size=60), st.integers(), st.integers(), st.integers())
def test_pricing_never_raises(model, input_tokens, output_tokens, cached):
    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cached_input_tokens=cached)
    for name in (model, "gpt-4o", "gemini-2.5-pro", "encore-demo-small"):
        quoted = price(name, usage)
        assert quoted is None or quoted >= 0


@pytest.mark.parametrize("usage", [Usage(input_tokens=1_234, output_tokens=567), Usage(input_tokens=1), Usage()])
def test_every_price_of_the_table_is_reckoned_as_the_table_reckons(usage):
    reckoned = 0
    for provider in get_snapshot().providers:
        for model in provider.models:
            usd = _plain_cost(model.get_prices(AT), usage)
            if usd is not None:
                listed = ListedUsage(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
                cost = model.calc_price(listed, provider, genai_request_timestamp=AT)
                assert float(usd) == pytest.approx(float(cost.total_price), rel=1e-12), model.id
                reckoned += 1
    assert reckoned > 1000
