"""The criteria builder: which fields an invalidation has, filled by hand or by a link, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import TypeVar

import msgspec
import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.errors import InvalidInput
from core.invalidation import Reach
from core.keys import EVERYWHERE
from pages.components.data import context, queries
from pages.components.data.entry_filters import in_days
from pages.components.display.namespaces import shown
from pages.components.shell.address import LONGEST, given, put
from pages.components.shell.namespace_choice import choose_namespace, others_stay

Seconds = TypeVar("Seconds")

SELECTORS = {
    "model": ":material/smart_toy: Model",
    "pattern": ":material/regular_expression: Pattern",
    "age": ":material/schedule: Age",
    "keywords": ":material/abc: Keywords",
    "tags": ":material/sell: Tags",
    "user": ":material/person: User",
    "key": ":material/key: Key",
    "all": ":material/select_all: Everything",
}
UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
HOLDS = {"5 minutes": 300, "1 hour": 3600, "1 day": 86_400, "not at all": 0}
MODES = {False: ":material/visibility_off: Hide", True: ":material/hourglass_bottom: Mark stale"}
DAYS = "older_than_days"
LINKED = ("model", "tags", "key", DAYS)
IN_URL = "criteria-in-url"
"""In the session: what the URL said of the builder when it was filled, or written, last."""


OnChange = Callable[[], None] | None


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """The values of the builder. They are no criteria yet: an age has no cut-off before it is used.

    `kept_user` is the pseudonym of the user that is meant while no other is named.
    """

    selectors: tuple[str, ...]
    namespace: str
    model: str = ""
    pattern: str = ""
    age: float = 0
    unit: str = "days"
    keywords: tuple[str, ...] = ()
    keyword_mode: str = "any"
    tags: tuple[str, ...] = ()
    user: str = ""
    kept_user: str = ""
    key: str = ""

    def criteria(self, now: float) -> Criteria:
        """The criteria as of now. Raises InvalidInput naming the field."""
        chosen = set(self.selectors)
        if self.namespace == EVERYWHERE and "key" in chosen:
            raise InvalidInput("key", "an entry is in one namespace: choose it")
        fields = {
            "model": self.model if "model" in chosen else None,
            "pattern": self.pattern if "pattern" in chosen else None,
            "created_before": now - self.age_seconds if self.age_seconds is not None else None,
            "keywords": self._required("keywords", self.keywords) if "keywords" in chosen else (),
            "keyword_mode": "all" if self.keyword_mode == "all" else "any",
            "tags": self._required("tags", self.tags) if "tags" in chosen else (),
            "key": self.key.strip() if "key" in chosen else None,
            "all": "all" in chosen,
        }
        if "user" in chosen and self.kept_user and not self.user:
            return Criteria.from_dict({**fields, "namespace": self.namespace, "user": self.kept_user})
        return Criteria.from_names(self.namespace, user=self.user if "user" in chosen else None, **fields)

    @property
    def age_seconds(self) -> float | None:
        """How old an entry has to be; None when its age does not matter."""
        return self.age * UNITS[self.unit] if "age" in self.selectors else None

    @property
    def reach(self) -> Reach:
        """What criteria of all namespaces leave open: the name of the user."""
        return Reach(user=self.user if "user" in self.selectors else None)

    @staticmethod
    def _required(name: str, words: tuple[str, ...]) -> tuple[str, ...]:
        if not words:
            raise InvalidInput(name, "give at least one")
        return words


def fill_from_link() -> None:
    """`?model=`, `?tags=`, `?key=` and `?older_than_days=` fill the builder whenever the URL says something new.

    A link fills, it never previews and never applies.
    """
    asked = {name: value for name in LINKED if (value := given(name))}
    if asked == st.session_state.get(IN_URL) and "criteria-selectors" in st.session_state:
        return
    st.session_state[IN_URL] = asked
    chosen = []
    for name, value in asked.items():
        if name != DAYS:
            chosen.append(name)
            parts = [part for part in value.split(",") if part]
            st.session_state[f"criteria-{name}"] = parts if name == "tags" else value
        elif (days := _days(value)) is not None:
            chosen.append("age")
            seconds = round(days * UNITS["days"])
            unit = next((unit for unit in reversed(UNITS) if seconds % UNITS[unit] == 0), "days")
            st.session_state["criteria-age"] = days if unit == "days" else seconds / UNITS[unit]
            st.session_state["criteria-unit"] = unit
    others = [name for name in st.session_state.get("criteria-selectors", ()) if name not in ("age", *LINKED)]
    st.session_state["criteria-selectors"] = chosen + [name for name in others if not (chosen and name == "all")]


def fill(keyword: str) -> None:
    """Has the builder of the next page filled anew: by its URL, and with a keyword, which may not stand there."""
    st.session_state.pop(IN_URL, None)
    st.session_state["criteria-selectors"] = ["keywords"] if keyword else []
    st.session_state["criteria-keywords"] = [keyword] if keyword else []


def put_in_url() -> None:
    """Writes into the URL what was chosen of the builder and may stand there: no text, and nobody's name.

    On a change, not after drawing: the links of the menu are drawn before the builder.
    """
    state = st.session_state
    age = (state.get("criteria-age") or 0) * UNITS[state.get("criteria-unit", "days")]
    values: dict[str, str] = {
        "model": state.get("criteria-model") or "",
        "tags": ",".join(state.get("criteria-tags", ())),
        "key": state.get("criteria-key") or "",
        "age": in_days(age) if age else "",
    }
    chosen = {name: value for name, value in values.items() if name in state["criteria-selectors"]}
    asked = {name: chosen.get("age" if name == DAYS else name, "") for name in LINKED}
    for name, value in asked.items():
        put(name, value)
    state[IN_URL] = {name: value[:LONGEST] for name, value in asked.items() if value}


def _days(text: str) -> float | None:
    try:
        days = float(text)
    except ValueError:
        return None
    return days if 0 < days < 36_500 else None


def form(*, without: Container[str] = (), namespace: str | None = None, on_change: OnChange = None) -> Fields:
    """Draws the builder, `without` some selectors, for any namespace or for one; returns its values.

    `on_change` is called before the next run.
    """
    selectors = st.pills(
        "Which answers? An entry must match everything you choose.",
        [name for name in SELECTORS if name not in without],
        selection_mode="multi",
        format_func=SELECTORS.__getitem__,
        key="criteria-selectors",
        on_change=_choose,
        args=(on_change,),
        wrap=True,
    )
    values: dict[str, object] = {}
    with st.grid(2, min_column_width=280):
        if namespace is None:
            may_all = context.actor().may(Action.EVERYWHERE)
            with st.container(gap=None):
                values["namespace"] = choose_namespace(or_all=may_all)
                others_stay(str(values["namespace"]), or_all=may_all)
        else:
            values["namespace"] = namespace
            _namespace_that_stays(namespace)
        for name in selectors:
            if name == "tags":
                values |= _tags(str(values["namespace"]), on_change)
            elif name in _FIELDS:
                values |= _FIELDS[name](on_change)
    return msgspec.convert({"selectors": tuple(selectors), **values}, Fields)


def _namespace_that_stays(namespace: str) -> None:
    naming = queries.naming([namespace])
    st.selectbox(
        "Namespace",
        [shown(namespace, naming)],
        key=f"criteria-stays-{namespace}",
        disabled=True,
        help="A schedule stays in its namespace. For another namespace, add another schedule.",
    )


def effect(holds: Mapping[str, Seconds]) -> tuple[bool, Seconds]:
    """Draws the controls; returns whether answers are marked stale (else hidden), and the hold chosen of these."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        soft = st.segmented_control(
            "Effect",
            [False, True],
            default=False,
            format_func=MODES.__getitem__,
            key="soft",
            required=True,
            help="Hide: never served again. Mark stale: served only if the provider fails; the next request asks the "
            "provider again.",
        )
        hold = st.selectbox(
            "Can be undone for",
            list(holds),
            key="hold",
            width=max(160, 40 + 8 * max(map(len, holds))),
            disabled=bool(soft),
            help="Nothing is deleted before that.",
        )
    return bool(soft), holds[hold]


def _choose(on_change: OnChange) -> None:
    """Everything excludes the others: the one chosen last wins."""
    chosen = st.session_state["criteria-selectors"]
    if "all" in chosen and len(chosen) > 1:
        st.session_state["criteria-selectors"] = ["all"] if chosen[-1] == "all" else [n for n in chosen if n != "all"]
    if on_change is not None:
        on_change()


def _model(on_change: OnChange) -> dict[str, object]:
    model = st.selectbox(
        "Model",
        queries.stored_models(),
        index=None,
        key="criteria-model",
        on_change=on_change,
        accept_new_options=True,
        placeholder="The exact name",
    )
    return {"model": model or ""}


def _pattern(_: OnChange) -> dict[str, object]:
    pattern = st.text_input(
        "Pattern",
        key="criteria-pattern",
        placeholder="*refund*",
        max_chars=256,
        help="Matches the whole prompt, or the key: * is any text, ? any character, [ab] one of these. Case counts.",
    )
    return {"pattern": pattern or ""}


def _age(on_change: OnChange) -> dict[str, object]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        age = st.number_input(
            "Older than",
            min_value=0.0,
            value=None,
            step=1.0,
            key="criteria-age",
            on_change=on_change,
            placeholder="7",
        )
        unit = st.selectbox("Unit", list(UNITS), index=2, key="criteria-unit", on_change=on_change, width=120)
    return {"age": float(age or 0), "unit": unit}


def _keywords(_: OnChange) -> dict[str, object]:
    words = st.multiselect(
        "Keywords",
        [],
        key="criteria-keywords",
        accept_new_options=True,
        max_selections=16,
        placeholder="Type a word, then Enter",
        help="Literal text in the prompt; case does not count.",
    )
    mode = "any"
    if len(words) > 1:
        mode = st.segmented_control(
            "Prompts with", ["any", "all"], default="any", key="criteria-keyword-mode", required=True
        )
    return {"keywords": tuple(words), "keyword_mode": mode or "any"}


def _tags(namespace: str, on_change: OnChange) -> dict[str, object]:
    chosen = st.session_state.get("criteria-tags") or ()
    tags = st.multiselect(
        "Tags",
        list(dict.fromkeys([*chosen, *queries.tags_to_choose(namespace)])),
        key="criteria-tags",
        on_change=on_change,
        accept_new_options=True,
        max_selections=32,
        placeholder="doc:123, then Enter",
        help="What answers depend on, as given with their requests. An entry needs one of these tags.",
    )
    return {"tags": tuple(tags)}


def _user(_: OnChange) -> dict[str, object]:
    user = st.text_input(
        "User",
        key="criteria-user",
        placeholder="ann@example.org",
        max_chars=256,
        autocomplete="off",
        help="The exact name that requests give. Finds the answers that are this user's own, not those that everybody "
        "shares. The name itself is not kept.",
    )
    return {"user": user or ""}


def _key(on_change: OnChange) -> dict[str, object]:
    key = st.text_input("Key", key="criteria-key", on_change=on_change, placeholder="0-9f86d081…", max_chars=80)
    return {"key": key or ""}


_FIELDS: dict[str, Callable[[OnChange], dict[str, object]]] = {
    "model": _model,
    "pattern": _pattern,
    "age": _age,
    "keywords": _keywords,
    "user": _user,
    "key": _key,
}


def now_criteria(fields: Fields) -> tuple[Criteria | None, str]:
    """The criteria as of now, or what is missing in one sentence."""
    if not fields.selectors:
        return None, ""
    try:
        return fields.criteria(context.now()), ""
    except InvalidInput as error:
        return None, f"{error.field.replace('_', ' ')}: {error.problem}"
