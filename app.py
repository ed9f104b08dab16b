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

    # Without an icon of our own the browser would fetch one for each page from outside.
    st.set_page_config(page_title="Encore", page_icon=FAVICON, layout="wide")

    entered()
    st.navigation(
        {
            "": [
                st.Page(
                    "pages/dashboard.py",
                    title="Dashboard",
                    icon=":material/monitoring:",
                    url_path="start",
                    default=True,
                    help="What the cache does and saves, live",
                ),
                # The default page is served at the root only: this one has its name for links.
                st.Page("pages/dashboard.py", title="Dashboard", url_path="dashboard", visibility="hidden"),
                st.Page(
                    "pages/requests.py",
                    title="Requests",
                    icon=":material/receipt_long:",
                    url_path="requests",
                    help="The latest requests one by one, and why each was a hit or not",
                ),
                st.Page(
                    "pages/playground.py",
                    title="Playground",
                    icon=":material/chat:",
                    url_path="playground",
                    help="Send a prompt and see what the cache decides",
                ),
                st.Page(
                    "pages/questions.py",
                    title="Questions",
                    icon=":material/bubble_chart:",
                    url_path="questions",
                    help="What people ask, and where caching would pay most",
                ),
                st.Page(
                    "pages/savings.py",
                    title="Savings",
                    icon=":material/savings:",
                    url_path="savings",
                    help="What was saved and spent, month by month",
                ),
            ],
            "Cache": [
                st.Page(
                    "pages/entries.py",
                    title="Entries",
                    icon=":material/database:",
                    url_path="entries",
                    help="Search, read and change stored answers",
                ),
                st.Page(
                    "pages/invalidations.py",
                    title="Invalidations",
                    icon=":material/block:",
                    url_path="invalidations",
                    help="Hide wrong or old answers at once, and undo it",
                ),
                st.Page(
                    "pages/schedules.py",
                    title="Schedules",
                    icon=":material/event_repeat:",
                    url_path="schedules",
                    help="Invalidations that run on a schedule",
                ),
                st.Page(
                    "pages/quality.py",
                    title="Quality",
                    icon=":material/rule:",
                    url_path="quality",
                    help="How often near matches were wrong, and when they may be served",
                ),
            ],
            "System": [
                st.Page(
                    "pages/workers.py",
                    title="Workers",
                    icon=":material/engineering:",
                    url_path="workers",
                    help="Background jobs and the workers that run them",
                ),
                st.Page(
                    "pages/health.py",
                    title="Health",
                    icon=":material/health_and_safety:",
                    url_path="health",
                    help="Settings, connections and the isolation self-test",
                ),
            ],
        },
        position="sidebar" if context.actor().may(Action.LOOK) and not server_checks.found() else "hidden",
    ).run()
else:
    from starlette.middleware import Middleware

    from core.text import log_lines
    from pages.components.server import server_checks
    from pages.components.server.serving import AccessMiddleware

    log_lines(logging.WARNING)
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
