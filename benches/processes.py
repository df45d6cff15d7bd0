"""Runs servers and clients, and says what a client has used."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Longest time that one client may take before the run is given up.
PATIENCE = 1200
# Seconds between two looks at the memory of a client: what it takes in its last moment is missed.
LOOK_EVERY = 0.005


def pinned(core: int, command: list) -> list[str]:
    """Servers run on the first core and clients on the last, where there are two and a way."""
    words = [str(word) for word in command]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or shutil.which("taskset") is None:
        return words
    return ["taskset", "-c", str(cores[core]), *words]


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Frontend:
    """A null frontend in a process of its own."""

    def __init__(self, program: str, *flags: object) -> None:
        self.process = subprocess.Popen(
            pinned(0, [program, *flags]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.line().strip()

    def line(self) -> str:
        """Waits for the next line that it prints."""
        return self.process.stdout.readline()

    def ask(self) -> dict:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.line())

    def __enter__(self) -> "Frontend":
        return self

    def end(self) -> None:
        self.process.stdin.close()

    def __exit__(self, *_: object) -> None:
        self.end()
        stop(self.process)


@dataclass
class Spent:
    """What a client that ran to its end has used, with the children that it waited for."""

    cpu: float
    wall: float
    # The most that the process itself held.
    rss_mib: float
    # The most that any one process held, children included; not less than this script holds,
    # because the system counts what a process was before it became the client.
    largest_mib: float


def spend(command: list, name: str, output: Path | None = None, refusals: tuple = ()) -> Spent:
    """Runs a client to its end, with its standard output in a file if one is given.

    Any exit code but 0 and those of refusals ends the benchmark.
    """
    with tempfile.TemporaryFile("w+") as log, (output or Path(os.devnull)).open("w") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            pinned(-1, command), stdin=subprocess.DEVNULL, stdout=out, stderr=log
        )
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        peak = Peak(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, *refusals):
            sys.exit(f"error: {name} ended with {process.returncode}:\n{tail(log)}")
    largest = usage.ru_maxrss / 1024
    return Spent(usage.ru_utime + usage.ru_stime, wall, peak.end() or largest, largest)


def tail(log: IO[str]) -> str:
    log.seek(0)
    return log.read()[-2000:]


class Peak:
    """Watches how much memory a process has held at most, where the system tells."""

    def __init__(self, pid: int) -> None:
        self.status = Path(f"/proc/{pid}/status")
        self.mib = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self) -> None:
        while not self.over.is_set():
            self.look()
            self.over.wait(LOOK_EVERY)

    def look(self) -> None:
        try:
            for line in self.status.read_text().splitlines():
                # It grows only, but begins anew when taskset becomes the client: the last counts.
                if line.startswith("VmHWM:"):
                    self.mib = int(line.split()[1]) / 1024
        except OSError:
            return

    def end(self) -> float:
        self.over.set()
        self.thread.join()
        return self.mib
