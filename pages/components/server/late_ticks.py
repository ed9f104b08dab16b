"""Leaves out the ticks of a page that a session has left.

A part of a page that is drawn every few seconds is asked for by a timer in the browser. When the server opens another
page, as a click on a row or a bar does, a timer of the page before may ring until the browser hears of it. Streamlit
draws that part once the new page is drawn, and says that it is of the page before: the browser then drops the page
that it shows, and what comes next has no place ("Cannot set a node at a delta path").
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx


def leave_out() -> None:
    """Has every session of this process leave them out. There is no public place for it: called once, at the start."""
    run_script = ScriptRunner._run_script
    open_pages: WeakKeyDictionary[PagesManager, str] = WeakKeyDictionary()

    def run(self: ScriptRunner, rerun_data: RerunData) -> None:
        sessions_own = self._pages_manager
        if rerun_data.fragment_id_queue and rerun_data.page_script_hash != open_pages.get(
            sessions_own, rerun_data.page_script_hash
        ):
            return
        run_script(self, rerun_data)
        if (context := get_script_run_ctx()) is not None:
            open_pages[sessions_own] = context.page_script_hash

    ScriptRunner._run_script = run  # type: ignore[method-assign]
