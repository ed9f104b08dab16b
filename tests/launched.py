"""A launcher with small parts in place of the real ones; test_launcher.py runs it as a process of its own.

Usage: launched.py HOME [PART...], each part `name:behaviour` with behaviour `serve`, `stubborn`, `die` or
`speak` (says how it is, and has no health page).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from core.launcher import HOST, Launcher, Part, free_port
from core.stores.redis.embedded import EmbeddedRedis

# A part says in the file `events` what happened to it; at its end it needs Redis once more.
PROGRAM = """
import http.server, os, pathlib, signal, sys
name, behaviour, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
events = pathlib.Path(os.environ["ENCORE_HOME"], "events")

def record(text):
    with events.open("a") as file:
        file.write(f"{name} {text}\\n")

def stop(number, frame):
    record(signal.Signals(number).name)
    if behaviour != "stubborn":
        import redis
        try:
            answered = redis.Redis.from_url(os.environ["ENCORE_REDIS_URL"]).ping()
        except redis.RedisError:  # raised here it would only end the request that the signal came upon
            answered = False
        record(f"ended, redis answered {answered}")
        os._exit(0)

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
    def log_message(self, *arguments):
        pass

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, stop)
record(f"pid {os.getpid()}")
if behaviour == "speak":
    print("a line of the log")
    print(f"{name:<8} keep ending: \\u202e\\x1b[31m")
    print(f"  {name}  a line of the log")
if behaviour == "die":
    sys.exit("the last words of " + name)
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


def main() -> int:
    home = Path(sys.argv[1])
    parts, taken = [], set()
    for name, behaviour in (argument.split(":") for argument in sys.argv[2:]):
        port = free_port(20_000 + os.getpid() % 10_000, name=name, taken=taken)
        taken.add(port)
        parts.append(
            Part(
                name=name,
                command=(sys.executable, "-c", PROGRAM, name, behaviour, str(port)),
                port=None if behaviour == "speak" else port,
                health="/healthz",
                address=f"http://{HOST}:{port}",
            )
        )
    environment = {**os.environ, "ENCORE_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    return Launcher(parts, home=home, redis_server=EmbeddedRedis(home), environment=environment).run()


if __name__ == "__main__":
    sys.exit(main())
