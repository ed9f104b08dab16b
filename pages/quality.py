"""Quality: how often near matches were wrong, what judging costs, and from which cosine on they may be served."""

from __future__ import annotations

import time

import msgspec
import streamlit as st

from core.access.roles import Action
from core.errors import CacheError
from core.metrics import Hedging
from core.models import CacheStrategy
from core.semantic.quality.calibration import BUDGETS, Proposal
from core.semantic.quality.report import EvidenceReport, FalseHits, ReplayPoint
from core.semantic.quality.thresholds import Act, Published, Threshold
from core.settings import SemanticMode
from pages.components.dashboard import tiles
from pages.components.dashboard.tiles import Tile
from pages.components.data import actions, context
from pages.components.data.readings import Reading
from pages.components.display import charts, tables
from pages.components.display.figures import UNKNOWN, clock, many, milliseconds, money, number, sentence, share
from pages.components.display.text import literal, plain
from pages.components.quality.review import review
from pages.components.shell.frame import frame, nothing_yet, told
from pages.components.shell.permissions import read_only

SECONDS = 30
"""How old evidence may be on screen: with 50,000 labels it takes seconds to sum up."""
WORD = "unproven"
"""Has to be typed where labels do not support what is published."""
WINDOWS: dict[str, tuple[str, float | None]] = {
    "24h": ("last 24 hours", 86_400.0),
    "7d": ("last 7 days", 7 * 86_400.0),
    "30d": ("last 30 days", 30 * 86_400.0),
    "all": ("all that is kept", None),
}
LOOKS = {
    SemanticMode.OFF: (":material/block:", "gray", "off: near questions are misses"),
    SemanticMode.JUDGE: (":material/gavel:", "violet", "judge: a model is asked before a near answer is served"),
    SemanticMode.SERVE: (":material/verified:", "green", "serve: near answers are served from a cosine on"),
}
ACTS = {Act.PUBLISHED: "published", Act.ROLLED_BACK: "rolled back to", Act.TIGHTENED: "tightened by itself"}


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What the viewer chose to look at. `since` is Unix seconds, None for everything."""

    namespace: str
    window: str
    since: float | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold to put in force, not confirmed yet. With `version` an earlier one, 0 being what is configured."""

    namespace: str
    seen: Threshold
    to: Threshold
    version: int | None = None
    why: str = ""


def page() -> None:
    if not frame("Quality", "How often near matches were wrong, what judging them costs, and when they may be served."):
        return
    view = controls()
    state = read_state(view.namespace)
    if state.value is None:
        nothing_yet(state)
        return
    threshold, versions = state.value
    mode(view.namespace, threshold, versions)
    actions.show_last("threshold")
    report = read_report(view)
    if report.value is None:
        nothing_yet(report)
    elif threshold.mode is SemanticMode.OFF and not report.value.labels:
        off()
    elif not report.value.lookups and not report.value.labels:
        empty(view)
    else:
        st.fragment(figures, run_every=SECONDS)(view)
        st.subheader("Review", anchor=False)
        st.caption("Each pair that you check counts for more than the judge's word, and says how far to trust it.")
        st.fragment(review)(view.namespace)
        lab(view, threshold)
    proposals(view, threshold, report.value)
    history(view.namespace, threshold, versions)
    if change := st.session_state.get("threshold-change"):
        confirm(change)


# What is read


def read_state(namespace: str) -> Reading[tuple[Threshold, list[Published]]]:
    """The threshold in force and all its versions."""
    thresholds = context.services().thresholds
    return context.readings().get(
        ("threshold", namespace),
        lambda: (thresholds.current(namespace), thresholds.versions(namespace)),
        max_age=2,
    )


def read_report(view: View) -> Reading[EvidenceReport]:
    """What evidence says."""
    evidence = context.services().evidence
    return context.readings().get(
        ("evidence", view.namespace, view.window),
        lambda: evidence.report(view.namespace, since=view.since),
        max_age=SECONDS - 1,
    )


def read_reports(view: View) -> Reading[list[EvidenceReport]]:
    """What evidence says of all namespaces."""
    evidence = context.services().evidence
    return context.readings().get(
        ("evidence-of-all", view.window), lambda: evidence.reports(since=view.since), max_age=SECONDS - 1
    )


def read_hedging(view: View) -> Reading[Hedging]:
    """What was dropped for a judge's yes, over all namespaces; of all that is kept, the last thirty days."""
    metrics = context.services().metrics
    seconds = WINDOWS[view.window][1] or WINDOWS["30d"][1] or 0
    return context.readings().get(
        ("hedging", view.window), lambda: metrics.summary(seconds).hedging, max_age=SECONDS - 1
    )


def read_replay(view: View) -> Reading[list[ReplayPoint]]:
    """The recorded lookups at all thresholds."""
    evidence = context.services().evidence
    return context.readings().get(
        ("threshold-lab", view.namespace, view.window),
        lambda: evidence.replay(view.namespace, since=view.since),
        max_age=SECONDS - 1,
    )


def namespaces() -> list[str]:
    """Those that have entries, and those that a threshold was published for."""
    thresholds = context.services().thresholds
    published: Reading[list[str]] = context.readings().get("thresholds", thresholds.namespaces, max_age=5)
    return list(dict.fromkeys([*context.namespaces(), *(published.value or ())]))


def controls() -> View:
    """Which namespace, how far back."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        namespace = st.selectbox("Namespace", namespaces(), key="quality_namespace", bind="query-params", width=220)
        window = st.segmented_control(
            "Evidence",
            list(WINDOWS),
            default="all",
            key="quality_window",
            bind="query-params",
            required=True,
        )
    seconds = WINDOWS[window or "all"][1]
    return View(
        namespace=namespace or context.services().settings.namespace,
        window=window or "all",
        since=None if seconds is None else time.time() - seconds,
    )


# How the namespace looks up near questions


def mode(namespace: str, threshold: Threshold, versions: list[Published]) -> None:
    """The mode in force and where it comes from; what keeps it from working."""
    icon, colour, words = LOOKS[threshold.mode]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, icon=icon, color=colour)  # type: ignore[arg-type]
        if threshold.mode is not SemanticMode.OFF:
            serve = "nothing served unjudged" if threshold.serve is None else f"served from {threshold.serve:.3f} on"
            st.badge(serve, icon=":material/bolt:", color="blue")
        if threshold.mode is SemanticMode.JUDGE:
            st.badge(f"judged from {threshold.grey:.3f} on", icon=":material/gavel:", color="gray")
        latest = versions[0] if versions else None
        if latest is None:
            st.caption("as configured", width="content")
        else:
            st.caption(
                f"version {latest.version}, {ACTS[latest.act]} {clock(latest.at)}, by {literal(latest.actor, 40)}",
                width="content",
            )
    if latest is not None and latest.act is Act.TIGHTENED:
        st.warning(f"**Tightened by itself.** {literal(latest.note, 200)}", icon=":material/trending_up:")
    if threshold.mode is not SemanticMode.OFF:
        for problem in problems(threshold):
            st.warning(problem, icon=":material/warning:")


def problems(threshold: Threshold) -> list[str]:
    """Why a mode that is on does nothing, as far as this console can tell."""
    services = context.services()
    found = []
    if services.settings.strategy is not CacheStrategy.SEMANTIC:
        found.append(
            f"The strategy is {services.settings.strategy.value}: near questions are not looked for. Set "
            "`ENCORE_STRATEGY` to `semantic`."
        )
    elif services.semantic is not None and services.semantic.problem:
        found.append(f"There is no embedder: {plain(services.semantic.problem)}.")
    if threshold.mode is SemanticMode.JUDGE and services.judge is None:
        found.append("There is no judge: near matches are misses. Set `ENCORE_JUDGE_MODEL` to a small model.")
    return found


def empty(view: View) -> None:
    """No evidence: where it comes from."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        if view.since is None:
            st.markdown(":material/hourglass_empty: **No evidence yet**", text_alignment="center")
            st.caption(
                "It comes with requests that nobody asked before to the letter. Ask the same thing in two wordings in "
                "the playground: what was near, what the guards and the judge said is noted and shown here.",
                text_alignment="center",
                width=560,
            )
            if st.button("Open the playground", key="to-playground", icon=":material/chat:"):
                st.switch_page("pages/playground.py", query_params={})
        else:
            st.markdown(
                f":material/hourglass_empty: **No evidence in the {WINDOWS[view.window][0]}**",
                text_alignment="center",
            )
            st.caption("Choose a longer range.", text_alignment="center")
        st.space("small")


def off() -> None:
    """What semantic lookup would do, what it can not, and how to switch it on."""
    with st.container(border=True):
        st.markdown("### :material/hub: Semantic lookup is off")
        st.markdown(
            "It would answer a question with the stored answer to another question that means the same. Encore serves "
            "none on a cosine alone before labels of your own traffic show how often that is wrong."
        )
        with st.grid(2, min_column_width=280):
            with st.container(border=True, height="stretch"):
                st.markdown(":material/gavel: **judge**, the way to begin")
                st.caption(
                    "A near match is shown to a small model of yours first. Its yes serves the stored answer, and the "
                    "same wording again is then a plain hit; its no, or no word within a second, is a miss. Costs a "
                    "call for each near match, within an hourly budget."
                )
            with st.container(border=True, height="stretch"):
                st.markdown(":material/verified: **serve**, when labels support it")
                st.caption(
                    "A near match at or above a cosine is served without asking. A share of those hits is judged "
                    "afterwards; when they show more wrong ones than the budget, the cosine rises by itself."
                )
        st.markdown("**What to expect, honestly**")
        st.markdown(
            "- On open questions no embedder that was measured keeps false hits under 1 % by cosine alone; on "
            "questions like those of an FAQ one does.\n"
            "- No cosine tells opposites apart. Guards refuse other numbers, units and negations; a judge sees more, "
            "and errs too: its yeses are to be checked, here.\n"
            "- To prove at most 1 %, 2 % or 5 % false hits takes 299, 149 or 59 labelled near matches without an error."
        )
        st.markdown("**To switch it on**, start with these settings:")
        st.code(
            "ENCORE_STRATEGY=semantic\nENCORE_SEMANTIC=judge\nENCORE_JUDGE_MODEL=gpt-4o-mini   # any small model",
            language="shell",
        )
        if context.services().semantic is not None:
            st.caption("The strategy is semantic already: this namespace alone can be switched on below, at once.")


# What evidence says


def figures(view: View) -> None:
    """The tiles and the curve."""
    reading = read_report(view)
    report = reading.value
    if report is None:
        nothing_yet(reading)
        return
    budget = context.services().settings.false_hit_budget
    st.caption(
        f"{many(report.lookups, 'recorded lookup')} and {many(report.labels, 'labelled pair')}, "
        f"{WINDOWS[view.window][0]}, read at {clock(reading.read_at)}"
    )
    with st.grid(3, min_column_width=200):
        for tile in (
            false_hits(report, budget),
            still_needed(report, budget),
            agreement(report),
            labels(report),
            lookups(report),
            judging(report, read_hedging(view).value),
        ):
            with st.container(border=True, height="stretch"):
                tiles.draw(tile)
    if any(point.labels for point in report.curve):
        with st.container(border=True, gap="xsmall"):
            st.markdown("**Precision over hit rate**")
            st.plotly_chart(
                charts.precision_over_hit_rate(report.curve, served_from(report.threshold), budget),
                key="chart-precision",
                config=charts.CONFIG,
                alt="Share of right answers over the share of near matches that would be served",
            )
            st.caption(
                "From labelled near matches that the guards let pass, without a judge. The dashed line is what the "
                "labels prove."
            )
    all_namespaces(view)


def all_namespaces(view: View) -> None:
    """The false hits of every namespace side by side, where there is more than one."""
    found = read_reports(view).value or []
    if len(found) < 2:
        return
    with st.container(border=True, gap="small"):
        st.markdown("**All namespaces**")
        st.dataframe(
            tables.namespaces(found, context.services().settings.false_hit_budget),
            column_config=tables.NAMESPACE_COLUMNS,
            hide_index=True,
            height=min(35 * len(found) + 38, 300),
            key="quality-namespaces",
            placeholder=UNKNOWN,
            alt="False hits of each namespace against the budget",
        )


def served_from(threshold: Threshold) -> float | None:
    """The cosine from which near answers are served unjudged; None where none are."""
    return None if threshold.mode is SemanticMode.OFF else threshold.serve


def judged_from(threshold: Threshold) -> float | None:
    """The cosine from which a judge is asked; None where none is."""
    return threshold.grey if threshold.mode is SemanticMode.JUDGE else None


def false_hits(report: EvidenceReport, budget: float) -> Tile:
    """Wrong ones of the near answers that are served, with their bound."""
    found = report.false_hits
    if found is not None:
        whose = "yeses of the judge" if found.judged else "labels"
        below = (
            f"{found.errors} wrong of {found.checked} {whose} · at most {share(found.bound)} · {verdict(found, budget)}"
        )
    elif report.threshold.mode is SemanticMode.OFF:
        below = "nothing is served now"
    elif served_from(report.threshold) is None:
        below = "not measured: nobody has checked the judge's yeses"
    else:
        below = "not measured: no label at or above the cosine served from"
    return Tile(
        label="False hits per hit",
        value=share(found.share) if found is not None else UNKNOWN,
        below=below,
        explained="Wrong answers of the near answers served. The bound is one-sided, 95 % (Clopper-Pearson): the true "
        "share is not above it, with that confidence.",
    )


def verdict(found: FalseHits, budget: float) -> str:
    """Whether labels prove the budget, refute it, or are too few."""
    match found.verdict(budget):
        case True:
            return f":material/check_circle: within the budget of {share(budget, 0)}"
        case False:
            return f":material/error: over the budget of {share(budget, 0)}"
        case _:
            return f":material/help: {share(budget, 0)} not proved yet"


def still_needed(report: EvidenceReport, budget: float) -> Tile:
    """How many more labels prove what."""
    names = list(report.still_needed)
    chosen = f"{budget:.0%}" if f"{budget:.0%}" in names else names[len(names) // 2]
    others = (f"{report.still_needed[name]} for {_spaced(name)}" for name in names if name != chosen)
    return Tile(
        label=f"Labels to prove {_spaced(chosen)}",
        value=number(report.still_needed[chosen]),
        below=" · ".join(others),
        explained="Still needed: so many more labels at or above the cosine served from prove that budget, if none of "
        "them is an error.",
    )


def _spaced(percent: str) -> str:
    return percent.replace("%", " %")


def agreement(report: EvidenceReport) -> Tile:
    """How far the judge can be trusted."""
    found = report.agreement
    return Tile(
        label="Judge agreement",
        value=share(found.agreed / found.pairs) if found.pairs else UNKNOWN,
        below=f"{many(found.pairs, 'pair')} · {found.false_yes} false yes · {found.false_no} false no"
        if found.pairs
        else "no pair has a label of both",
        explained="With operators, over pairs that both have labelled. A false yes serves a wrong answer, a false no "
        "costs a hit.",
    )


def labels(report: EvidenceReport) -> Tile:
    """Who labelled."""
    return Tile(
        label="Labels",
        value=number(report.labels),
        below=f"{report.operator_labels} by operators · {report.judge_labels} by the judge · "
        f"{report.unlabelled} without",
        explained="Near matches that a cosine alone would have served, one label each: an operator's before a judge's.",
    )


def lookups(report: EvidenceReport) -> Tile:
    """What became of the lookups."""
    return Tile(
        label="Near hits",
        value=share(report.hits / report.lookups) if report.lookups else UNKNOWN,
        below=f"{number(report.hits)} of {many(report.lookups, 'semantic lookup')}",
        explained="Lookups that found nothing by exact or normalized key, and then something near.",
    )


def judging(report: EvidenceReport, hedging: Hedging | None) -> Tile:
    """What judging cost and saved, and what hedging it cost."""
    found = report.judging
    hedged = ""
    if hedging is not None and hedging.dropped:
        hedged = f" · hedging: {money(hedging.cost_usd)} for {many(hedging.dropped, 'dropped call')}, all namespaces"
    rulings = " · ".join(f"{count} {plain(word)}" for word, count in found.rulings.items()) or "never asked"
    return Tile(
        label="Judging saved, net",
        value=money(found.saved_usd - found.cost_usd),
        below=sentence(
            f"saved {money(found.saved_usd)}, cost {money(found.cost_usd)} · {rulings} · "
            f"p95 {milliseconds(found.p95_ms)}{hedged}"
        ),
        explained="What the answers it let through had cost, less what its calls cost. Repeats of a wording that it "
        "approved are plain hits and come on top.",
    )


# Threshold lab


def lab(view: View, threshold: Threshold) -> None:
    """What recorded lookups would have come to at another threshold."""
    st.subheader("What if", anchor=False)
    st.caption("Recorded lookups, replayed with another cosine to serve from and without a judge.")
    st.fragment(what_if)(view, threshold)


def what_if(view: View, threshold: Threshold) -> None:
    """The slider, its figures, the curve over all thresholds and the table."""
    points = read_replay(view).value
    if not points or not points[0].lookups:
        st.caption("No lookup was recorded in this range.")
        return
    by_threshold = {point.threshold: point for point in points}
    choices = sorted(by_threshold)
    begin = min(choices, key=lambda choice: abs(choice - (threshold.serve or 0.9)))
    chosen = st.select_slider(
        "Serve from the cosine", choices, value=begin, format_func=lambda choice: f"{choice:.3f}", key="what-if"
    )
    point = by_threshold[chosen]
    with st.grid(3, min_column_width=150):
        with st.container(gap=None):
            st.metric("Would have hit", share(point.hit_rate))
            st.caption(f"{number(point.hits)} of {many(point.lookups, 'lookup')}")
        with st.container(gap=None):
            st.metric("Wrong, of those labelled", share(point.errors / point.labelled) if point.labelled else UNKNOWN)
            st.caption(f"{point.errors} of {point.labelled}; {point.hits - point.labelled} have no label")
        with st.container(gap=None):
            st.metric("Wrong at most", share(point.bound) if point.labelled else UNKNOWN)
            st.caption("with 95 % confidence")
    if threshold.mode is not SemanticMode.OFF and chosen < threshold.grey:
        st.caption(
            f":material/info: Below {threshold.grey:.3f} nothing was looked at: there would be more hits than these."
        )
    st.plotly_chart(
        charts.what_if(points, served_from(threshold), judged_from(threshold)),
        key="chart-what-if",
        config=charts.CONFIG,
        alt="Share of lookups answered, and of wrong answers, over the cosine to serve from",
    )
    with st.expander("As a table", icon=":material/table:"):
        table = tables.replayed(points)
        st.dataframe(
            table,
            column_config=tables.REPLAY_COLUMNS,
            hide_index=True,
            height=320,
            key="replay",
            placeholder=UNKNOWN,
            alt="Threshold lab",
        )
        st.download_button(
            "Download CSV",
            tables.csv(table),
            "thresholds.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )


# Putting a threshold in force


def proposals(view: View, threshold: Threshold, report: EvidenceReport | None) -> None:
    """What labels support, and the way to publish it or something else."""
    st.subheader("Threshold", anchor=False)
    may = context.actor().may(Action.PUBLISH_THRESHOLD)
    if report is not None and report.labels:
        with st.grid(len(BUDGETS), min_column_width=230):
            for proposal in report.proposals:
                with st.container(border=True, height="stretch"):
                    _proposal(view, threshold, proposal, may)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Set it by hand…", key="by-hand", icon=":material/tune:", disabled=not may):
            _ask(Change(namespace=view.namespace, seen=threshold, to=threshold))
        read_only(Action.PUBLISH_THRESHOLD)


def _proposal(view: View, threshold: Threshold, proposal: Proposal, may: bool) -> None:
    st.markdown(f"**At most {share(proposal.budget, 0)} false hits**")
    if proposal.threshold is None:
        st.metric("Serve from", UNKNOWN)
        st.caption(plain(f"{proposal.reason[:1].upper()}{proposal.reason[1:]}."))
        return
    st.metric("Serve from", f"{proposal.threshold:.3f}")
    st.caption(
        f"{proposal.errors} wrong of {proposal.labels} held-out labels: at most {share(proposal.bound)}. "
        f"{plain(proposal.reason[:1].upper() + proposal.reason[1:])}."
    )
    is_in_force = threshold.serve == proposal.threshold and threshold.mode is not SemanticMode.OFF
    if st.button(
        "In force" if is_in_force else f"Publish {proposal.threshold:.3f}…",
        key=f"publish-{proposal.budget:g}",
        icon=":material/publish:",
        disabled=not may or is_in_force,
    ):
        on = SemanticMode.JUDGE if threshold.mode is SemanticMode.OFF else threshold.mode
        to = msgspec.structs.replace(
            threshold, mode=on, serve=proposal.threshold, grey=min(threshold.grey, proposal.threshold)
        )
        why = f"{proposal.budget:.0%} budget: {proposal.errors} wrong of {proposal.labels} held-out labels"
        _ask(Change(namespace=view.namespace, seen=threshold, to=to, why=why))


def _ask(change: Change) -> None:
    for name in ("change-mode", "change-unjudged", "change-serve", "change-grey", "change-why", "change-typed"):
        st.session_state.pop(name, None)
    actions.forget_last("threshold")
    st.session_state["threshold-change"] = change


def _close() -> None:
    st.session_state.pop("threshold-change", None)


@st.dialog("Put this threshold in force?", icon=":material/warning:", on_dismiss=_close)
def confirm(change: Change) -> None:
    """The last question, with what labels say of it."""
    if read_state(change.namespace).value is None:
        st.error("Redis does not answer: nothing can be changed now.", icon=":material/cloud_off:")
        return
    st.markdown(f"Namespace {literal(change.namespace)}. In force now: {_words(change.seen)}.")
    if change.version is None:
        chosen, why = _edited(change)
    else:
        chosen, why = change.to, ""
        name = f"version {change.version}" if change.version else "what is configured"
        st.markdown(f"Back to **{name}**: {_words(chosen)}.")
    problem = "grey" if chosen.serve is not None and chosen.grey > chosen.serve else ""
    if problem:
        st.error("The cosine to judge from is above the one to serve from: nothing would be judged.")
    unproven = not problem and _support(change, chosen)
    may_unproven = change.version is not None or context.actor().may(Action.PUBLISH_UNSUPPORTED)
    typed = ""
    if unproven and not may_unproven:
        read_only(Action.PUBLISH_UNSUPPORTED)
    elif unproven:
        typed = st.text_input(f"Type {WORD} to do it all the same", key="change-typed", live=True, autocomplete="off")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="change-cancel"):
            _close()
            st.rerun()
        same = change.version is None and _same(chosen, change.seen)
        if st.button(
            "Roll back" if change.version is not None else "Publish",
            key="change-confirm",
            type="primary",
            disabled=bool(problem)
            or same
            or (unproven and (not may_unproven or (typed or "").strip().lower() != WORD)),
        ):
            _close()
            if change.version is not None:
                actions.roll_back_threshold(change.namespace, change.version)
            else:
                actions.publish_threshold(change.namespace, chosen, seen=change.seen, note=why, unsupported=unproven)
            st.rerun()


def _edited(change: Change) -> tuple[Threshold, str]:
    """The dialog's fields: the threshold they come to, and why."""
    to = change.to
    chosen = st.segmented_control(
        "Mode",
        list(SemanticMode),
        default=to.mode,
        format_func=lambda mode: f"{LOOKS[mode][0]} {mode.value}",
        key="change-mode",
        required=True,
    )
    mode = chosen or to.mode
    serve = to.serve
    grey = to.grey
    is_unjudged = mode is SemanticMode.SERVE
    if mode is SemanticMode.JUDGE:
        is_unjudged = st.toggle(
            "Serve without the judge from a cosine on", value=to.serve is not None, key="change-unjudged"
        )
        serve = serve if is_unjudged else None
    if is_unjudged:
        serve = st.number_input("Serve from", 0.5, 1.0, to.serve or 0.97, 0.005, "%.3f", key="change-serve")
    if mode is SemanticMode.JUDGE:
        grey = st.number_input("Judge from", 0.3, 1.0, to.grey, 0.005, "%.3f", key="change-grey")
    elif serve is not None:
        grey = min(grey, serve)
    why = st.text_input("Why", change.why, max_chars=200, key="change-why", help="For the audit log. Quote no prompt.")
    return Threshold(mode=mode, grey=grey, serve=serve, version=change.seen.version), why or ""


def _same(one: Threshold, other: Threshold) -> bool:
    return (one.mode, one.serve, one.grey) == (other.mode, other.serve, other.grey)


def _words(threshold: Threshold) -> str:
    if threshold.mode is SemanticMode.OFF:
        return "off"
    serve = "nothing is served unjudged" if threshold.serve is None else f"served from {threshold.serve:.3f} on"
    judged = f", judged from {threshold.grey:.3f} on" if threshold.mode is SemanticMode.JUDGE else ""
    return f"{threshold.mode.value}, {serve}{judged}"


def _support(change: Change, to: Threshold) -> bool:
    """Says what labels say of it; whether it loosens what is in force without their support."""
    if to.mode is SemanticMode.OFF or to.serve is None:
        return False
    budget = context.services().settings.false_hit_budget
    try:
        point = context.services().evidence.support(change.namespace, to.serve)
    except CacheError as error:
        st.error(f"What labels say is not known. {told(error)}", icon=":material/cloud_off:")
        return True
    words = f"Labels at or above {to.serve:.3f}: {point.labels}, of which {point.errors} wrong"
    words += f"; at most {share(point.bound)} wrong with 95 % confidence." if point.labels else "."
    if point.bound <= budget:
        st.success(f"{words} Within the budget of {share(budget, 0)}.", icon=":material/check_circle:")
        return False
    seen = change.seen
    if seen.mode is not SemanticMode.OFF and seen.serve is not None and to.serve >= seen.serve:
        st.info(
            f"{words} That does not prove the budget of {share(budget, 0)}, but serves no more than now.",
            icon=":material/info:",
        )
        return False
    st.warning(
        f"{words} **The budget of {share(budget, 0)} is not proved**: answers may be wrong more often than that.",
        icon=":material/warning:",
    )
    return True


# Looking back


def history(namespace: str, threshold: Threshold, versions: list[Published]) -> None:
    """All versions, and the way back to one of them."""
    if not versions:
        st.caption("No threshold was published for this namespace: what is configured is in force.")
        return
    st.markdown("**Versions**")
    configured = Threshold.configured(context.services().settings)
    st.dataframe(
        tables.versions(versions, configured),
        column_config=tables.VERSION_COLUMNS,
        hide_index=True,
        height=min(35 * len(versions) + 38, 300),
        key="versions",
        placeholder=UNKNOWN,
        alt="Versions of the threshold, the latest first",
    )
    may = context.actor().may(Action.PUBLISH_THRESHOLD)
    earlier = {one.version: one.threshold or configured for one in versions[1:]} | {0: configured}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Back to",
            list(earlier),
            format_func=lambda number: f"Version {number}" if number else "As configured",
            key="roll-back-to",
            width=200,
        )
        if st.button("Roll back…", key="roll-back", icon=":material/undo:", disabled=not may):
            _ask(Change(namespace=namespace, seen=threshold, to=earlier[chosen or 0], version=chosen or 0))


page()
