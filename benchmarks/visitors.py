"""How much CPU time the server spends on one more visitor of the public demo, beside a page with one plain chart.

    python -m benchmarks.visitors [--sessions 8] [--crowd 40]

Starts the real server, opens sessions one after the other over its websocket, and lets each run its page twice: when
the Overview opens, and once again. Prints the server's CPU seconds of the first session and the median of the further ones.
Then opens a crowd of sessions at once on a fresh server: the seconds until their first pages are there, and the server's
memory at its highest.
"""

import argparse
import asyncio
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.browser import Server  # noqa: E402

#: Seconds that a visitor of a crowd stays.
STAY = 30.0
FLOOR = """
import altair as alt
import polars as pl
import streamlit as st

frame = pl.DataFrame({"x": list(range(200)), "y": [i % 7 for i in range(200)]})
st.altair_chart(alt.Chart(frame).mark_line().encode(x="x:Q", y="y:Q"))
"""


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its threads so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def visit(port: int) -> None:
    """Open a session, and run its page once more."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        for _ in range(2):
            message = BackMsg()
            message.rerun_script.query_string = ""
            await socket.send(message.SerializeToString())
            await finished(socket)


async def first_page(port: int) -> float:
    """Open a session and let its page run; the seconds that took."""
    start = time.perf_counter()
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None, open_timeout=120) as socket:  # type: ignore[list-item]
        message = BackMsg()
        message.rerun_script.query_string = ""
        await socket.send(message.SerializeToString())
        await finished(socket)
        seconds = time.perf_counter() - start
        # A visitor stays and looks.
        await asyncio.sleep(max(0.0, STAY - seconds))
    return seconds


def crowd(sessions: int) -> tuple[list[float], int]:
    """The seconds of each of so many sessions opened at once, ascending, and the server's highest memory in MB."""

    async def all_at_once(port: int) -> list[float]:
        return await asyncio.gather(*(first_page(port) for _ in range(sessions)))

    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        seconds = asyncio.run(all_at_once(server.port))
        status = Path(f"/proc/{server.pid}/status").read_text()
    return sorted(seconds), int(status.partition("VmHWM:")[2].split()[0]) // 1024


async def finished(socket: websockets.ClientConnection) -> None:
    """Read what the server sends until the page has run."""
    while True:
        message = ForwardMsg.FromString(await socket.recv())
        if message.delta.new_element.HasField("exception"):
            raise SystemExit(f"The page failed: {message.delta.new_element.exception.message}")
        if message.WhichOneof("type") == "script_finished":
            return


def measure(script: Path, sessions: int) -> tuple[float, float]:
    """CPU seconds of the first session, and the median of the further ones."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), script=script) as server:
        seconds = []
        for _ in range(sessions):
            before = cpu_seconds(server.pid)
            asyncio.run(visit(server.port))
            seconds.append(cpu_seconds(server.pid) - before)
    return seconds[0], median(seconds[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--crowd", type=int, default=40)
    options = parser.parse_args()
    sessions = options.sessions
    print("| page | first session, CPU s | a further session, CPU s |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(FLOOR)
        for name, script in (("one plain chart", bare), ("the demo's Overview", ROOT / "streamlit_app.py")):
            first, further = measure(script, sessions)
            print(f"| {name} | {first:.2f} | {further:.2f} |", flush=True)
    seconds, memory = crowd(options.crowd)
    p95 = seconds[math.ceil(0.95 * len(seconds)) - 1]
    print("\n| sessions at once | median first page, s | p95, s | server at its highest, MB |\n|---|---|---|---|")
    print(f"| {len(seconds)} | {median(seconds):.1f} | {p95:.1f} | {memory} |")


if __name__ == "__main__":
    main()
