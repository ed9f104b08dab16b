"""Login and logout on screen, and the viewer's name and role."""

from __future__ import annotations

import streamlit as st

from core.access import LOG_IN, NO_ROLE, Actor, login_id
from core.errors import CacheError
from pages.components.data import context
from pages.components.display.text import literal, plain
from pages.components.server.server_checks import login_section, providers


def gate(actor: Actor) -> None:
    """Draws, in place of a page that the viewer may not see, the login or the reason why there is none."""
    with st.container(horizontal_alignment="center"), st.container(border=True, width=440, gap="medium"):
        st.title("Encore", anchor=False)
        st.caption("The operations console of a response cache.")
        if actor.refusal == LOG_IN:
            st.text("Log in to see this page.")
        elif actor.refusal.endswith(NO_ROLE):
            st.warning(f"**No role.** {plain(actor.refusal)}.", icon=":material/lock:")
            st.button("Log out", key="log_out", icon=":material/logout:", on_click=log_out)
            return
        else:
            st.warning(f"{plain(actor.refusal)}. Nothing was changed since then.", icon=":material/lock_clock:")
        for provider in providers(login_section()):
            st.button(
                "Log in" if provider is None else f"Log in with {literal(provider, 40)}",
                key=f"log_in-{provider or ''}",
                icon=":material/login:",
                type="primary",
                width="stretch",
                on_click=_log_in,
                args=(provider,),
            )


def who(actor: Actor) -> None:
    """Draws, in the sidebar, the viewer, the role and the logout button."""
    with st.container(gap="xsmall"):
        st.caption("Access")
        if actor.local:
            st.badge("Local mode, no login", icon=":material/home:", color="gray")
            return
        st.badge(actor.role.word, icon=":material/person:", color="blue")
        st.text(actor.name)
        st.button("Log out", key="log_out", icon=":material/logout:", type="tertiary", on_click=log_out)


def _log_in(provider: str | None) -> None:
    st.login(provider)


def log_out() -> None:
    """Ends this login in all windows, and wherever else its cookie is used."""
    claims = context.claims()
    try:
        built = context.services()
        built.logins.end(login_id(claims), seconds=built.settings.login_hours * 3600)
    except CacheError:
        pass  # this process knows, and the cookie of this browser goes in any case
    st.logout()
