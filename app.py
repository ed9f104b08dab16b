"""The operations console: names, orders and titles the pages, and draws nothing itself.

Started by `make run`, or alone with `streamlit run app.py`. The server loads this file once, to serve it; each view
of a page runs it as its script.
"""

from __future__ import annotations

import logging

import streamlit as st

if __name__ == "__main__":
    from core.access import Action
    from pages.components.data import context
    from pages.components.server import server_checks
    from pages.components.shell.frame import FAVICON, entered
    from pages.components.shell.menu import Entry, draw

    # Without an icon of our own the browser would fetch one for each page from outside.
    st.set_page_config(page_title="Encore", page_icon=FAVICON, layout="wide")

    entered()
    menu: dict[str, list[Entry]] = {
        "": [
            Entry("dashboard", "Dashboard", ":material/monitoring:"),
            Entry("requests", "Requests", ":material/receipt_long:"),
            Entry("playground", "Playground", ":material/chat:"),
            Entry("questions", "Questions", ":material/bubble_chart:"),
            Entry("savings", "Savings", ":material/savings:"),
        ],
        "Cache": [
            Entry("entries", "Entries", ":material/database:"),
            Entry("invalidations", "Invalidations", ":material/block:"),
            Entry("schedules", "Schedules", ":material/event_repeat:"),
            Entry("quality", "Quality", ":material/rule:"),
        ],
        "System": [
            Entry("workers", "Workers", ":material/engineering:"),
            Entry("health", "Health", ":material/health_and_safety:"),
        ],
    }
    pages = [
        # The default page is served at the root only: this one has its name for links.
        st.Page("pages/dashboard.py", title="Dashboard", url_path="start", default=True),
        *(
            st.Page(f"pages/{entry.file}.py", title=entry.title, url_path=entry.file)
            for entries in menu.values()
            for entry in entries
        ),
    ]
    page = st.navigation(pages, position="hidden")
    if context.actor().may(Action.LOOK) and not server_checks.found():
        draw(menu, pages, page)
    page.run()
else:
    from starlette.middleware import Middleware

    from core.text import log_lines
    from pages.components.server import late_ticks, server_checks
    from pages.components.server.serving import AccessMiddleware

    log_lines(logging.WARNING)
    late_ticks.leave_out()
    settings = server_checks.refuse_to_serve()
    app = st.App(
        __file__,
        secrets=server_checks.login_secrets(settings) if settings else {},
        middleware=[
            Middleware(
                AccessMiddleware,
                has_login=server_checks.has_login,
                hosts=st.get_option("server.allowedHosts"),
                address=server_checks.address_in_browsers(settings),
            )
        ],
    )
