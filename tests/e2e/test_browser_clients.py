"""Web pages as clients of the gateway: those that may use it read hits like misses, all others reach nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.http.running import RunningGateway, services_for

ASK = """async ([url, headers]) => {
    const body = {model: "gpt-4o", messages: [{role: "user", content: "How old is it?"}]};
    try {
        const answer = await fetch(url + "/chat/completions", {
            method: "POST", body: JSON.stringify(body), headers: {"Content-Type": "application/json", ...headers},
        });
        const told = ["cache-status", "x-encore-key", "age"].map(name => answer.headers.get(name));
        return [answer.status, (await answer.json()).choices?.[0].message.content, ...told];
    } catch (error) {
        return [error.name];
    }
}"""
# What needs no leave to be sent: a picture, a script, and a form that does not say where it is from.
EMBED = """async (url) => {
    const done = [];
    for (const [name, path] of [["img", "/models"], ["script", "/files/1/content"]]) {
        const element = document.createElement(name);
        done.push(new Promise(resolve => { element.onload = () => resolve("loaded");
                                           element.onerror = () => resolve("refused"); }));
        element.src = url + path;
        document.body.append(element);
    }
    return await Promise.all(done);
}"""

SUBMIT = """(url) => {
    const form = document.createElement("form");
    [form.method, form.enctype, form.action] = ["post", "text/plain", url + "/chat/completions"];
    form.innerHTML = `<input name='{"model":"gpt-4o","messages":[{"role":"user","content":"spend' value='"}]}'>`;
    document.body.append(form);
    form.submit();
}"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a page at another site than the gateway's, which is called by its number."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Referrer-Policy", "no-referrer")  # of forms the origin is null then
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>a page</title><body></body>")

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context()
    found = context.new_page()
    found.goto(site)
    yield found
    context.close()


def test_a_page_of_a_configured_origin_reads_hits_like_misses(page, site, openai_server, redis_url, namespace):
    with (
        services_for(openai_server.url, redis_url, namespace, gateway_origins=site) as services,
        RunningGateway(services) as gateway,
    ):
        asked = [gateway.url, {"Authorization": "Bearer a-key", "X-Stainless-Lang": "js"}]
        miss, hit = page.evaluate(ASK, asked), page.evaluate(ASK, asked)
    assert miss[:3] == [200, "Answer 1 to: How old is it?", "encore; fwd=uri-miss; stored"]
    assert hit[:3] == [200, "Answer 1 to: How old is it?", "encore; hit; detail=exact"]
    assert hit[3] == miss[3] is not None
    assert hit[4] is not None


def test_other_pages_neither_read_nor_spend(page, openai_server, redis_url, namespace):
    with services_for(openai_server.url, redis_url, namespace) as services, RunningGateway(services) as gateway:
        assert page.evaluate(ASK, [gateway.url, {}]) == ["TypeError"]
        assert page.evaluate(EMBED, gateway.url) == ["refused", "refused"]
        with page.expect_response(lambda answer: answer.request.method == "POST") as submitted:
            page.evaluate(SUBMIT, gateway.url)
        assert submitted.value.status == 403
        assert submitted.value.request.headers["origin"] == "null"
    assert openai_server.requests == []
