"""What it costs to fold only what is plainly a question: `python -m benchmarks.folding [--data DIR]`.

The sample traffic, and with `--data` every `*.stream.jsonl.gz` of a folder, is asked as people ask: a few questions
again and again, every third repetition typed a little differently. It is asked without a system prompt, and with ten
of the kinds that applications have. Hit rates are of exact and normalized lookup together, the cache unbounded:
`all` folds every text, as if none could be material; `plain` is what the cache does; `none` folds nothing.

Under an instruction that works on the text, the hits that only `all` has are wrong answers.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

from core.demo.replay import Question, popular, read_questions, sample
from core.keys import identify, loose_digest
from core.models import ChatRequest

SYSTEM_TEXTS = {
    "no system prompt": "",
    "support bot": "You are a customer support agent for Acme Bank. Be polite and concise. If you do not know the "
    "answer, say so.",
    "FAQ": "You answer customers' questions about our products and services briefly and politely.",
    "persona": "You are Ada, a friendly and witty assistant. Always answer in English.",
    "coder": "You are an expert software engineer. Answer with code only, without explanations.",
    "RAG": "Answer the question using only the context below.\n\nContext:\nCards arrive within five working days.",
    "translator": "Translate the user's message into Spanish. Reply with the translation only.",
    "classifier": "Classify the message as card, transfer, top-up or other. Reply with the label only.",
    "proofreader": "Correct spelling and grammar. Reply with the corrected text only.",
    "summariser": "Summarise the customer's message in one sentence.",
    "extraction": "Extract amounts, dates and merchants from the message as JSON.",
}

Form = Callable[[str], object]


def hit_rate(texts: Sequence[str], form: Form) -> float:
    """The share of texts of which the same, or one of the same form, was asked before."""
    asked: set[str] = set()
    forms: set[object] = set()
    hits = 0
    for text in texts:
        folded = form(text)
        hits += text in asked or folded in forms
        asked.add(text)
        forms.add(folded)
    return hits / len(texts)


def forms_under(system: str) -> dict[str, Form]:
    """How a text is compared under a system text, by what is folded."""

    def request(text: str) -> ChatRequest:
        before = [{"role": "system", "content": system}] if system else []
        return ChatRequest(model="m", messages=[*before, {"role": "user", "content": text}])

    def plain(text: str) -> object:
        return identify(request(text), "benchmark").normalized

    def everything(text: str) -> object:
        return loose_digest(b"", text)

    return {"all": lru_cache(None)(everything), "plain": lru_cache(None)(plain), "none": lambda text: text}


def streams(folder: Path | None) -> dict[str, list[Question]]:
    """The sample traffic, and the streams of a folder."""
    found = {"sample traffic": sample("banking77")}
    for path in sorted(folder.glob("*.stream.jsonl.gz")) if folder else ():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found[path.name.removesuffix(".stream.jsonl.gz")] = list(read_questions(lines))
    return found


def main() -> None:
    """Prints one line for each stream and system text."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, help="folder of labelled streams, beside the sample traffic")
    arguments.add_argument("--requests", type=int, nargs="*", default=[2_000, 20_000], help="lengths of the streams")
    given = arguments.parse_args()
    print(f"{'stream':<16}{'requests':>9}  {'system text':<18}{'all':>7}{'plain':>8}{'none':>8}  points lost")
    for name, questions in streams(given.data).items():
        for count in given.requests:
            texts = [str(one.messages[-1]["content"]) for one in islice(popular(questions), count)]
            for label, system in SYSTEM_TEXTS.items():
                rates = {folded: hit_rate(texts, form) for folded, form in forms_under(system).items()}
                lost = 100 * (rates["all"] - rates["plain"])
                shown = "".join(f"{rate:>8.1%}" for rate in rates.values())
                print(f"{name:<16}{count:>9,}  {label:<17}{shown}  {lost:.1f}")


if __name__ == "__main__":
    main()
