"""A service that refuses what is over its limit: how much of the limit a client uses."""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from processes import Frontend, pinned, stop, tail
from programs import Programs


@dataclass
class Scene:
    """A service's limit over a time, and what another client does meanwhile."""

    name: str
    limits: list[int]
    burst: float = 1.0
    rival: float = 0.0
    rival_from: float = 0.0
    rival_until: float = 0.0
    # Share of all calls that is refused at random, and seconds of every other stretch in which all
    # are: what is to be had is then what a client without a pace would get through.
    refuse: float = 0.0
    closed_every: float | None = None
    # Milliseconds that a call takes.
    latency: float | None = None
    # Seconds, if they are others than those of all scenes.
    seconds: float | None = None
    # Which goals it counts for: the name's ending, or none.
    goal: str | None = None

    def most(self, seconds: float) -> float:
        return max(self.limits) * (seconds + self.burst)


def scenes(seconds: float) -> list[Scene]:
    third = seconds / 3
    changing = ", changing"
    return [
        Scene("50/s", [50], goal=""),
        Scene("1,000/s", [1000], goal=""),
        Scene("1,000/s, bucket of 0.1 s", [1000], burst=0.1, goal=", small"),
        Scene(
            "1,000/s, bucket of 0.1 s, 3 s", [1000], burst=0.1, seconds=3, goal=", small, first 3 s"
        ),
        Scene("1,000/s, 30 % refused at random", [1000], refuse=0.3, goal=", at random"),
        Scene("1,000/s, 50 % refused at random", [1000], refuse=0.5, goal=", at random"),
        Scene("1,000/s, closed every other 0.5 s", [1000], closed_every=0.5, goal=", at random"),
        Scene(
            "1,000/s, calls of 30 ms, closed every other 0.5 s",
            [1000],
            closed_every=0.5,
            latency=30,
            goal=", at random",
        ),
        Scene("5,000/s", [5000], goal=""),
        Scene(f"1,000/s and 300/s by turns of {third:.0f} s", [1000, 300], goal=changing),
        Scene(
            "1,000/s, a rival takes half", [1000], rival=500, rival_until=seconds, goal=changing
        ),
        Scene(
            f"1,000/s, a rival takes half from second {third:.0f} to {2 * third:.0f}",
            [1000],
            rival=500,
            rival_from=third,
            rival_until=2 * third,
            goal=changing,
        ),
    ]


def pacing(programs: Programs, seconds: float, only: str) -> dict[str, float]:
    measured: dict[str, float] = {}
    print("| limit | ours: used | refused | Python SDK: used | refused |")
    print("|---|---:|---:|---:|---:|")
    for scene in scenes(seconds):
        if not re.search(only, scene.name):
            continue
        used, refused = share_of_limit(programs, scene, programs.apply_entries, seconds)
        theirs = share_of_limit(programs, scene, programs.python, seconds)
        cells = [f"{share:.1%}" for share in (used, refused, *theirs)]
        print(f"| {scene.name} |", " | ".join(cells), "|", flush=True)
        if scene.goal is not None:
            keep_worst(measured, f"used{scene.goal}", used, min)
            keep_worst(measured, f"refused{scene.goal}", refused, max)
    return measured


def keep_worst(
    measured: dict[str, float], goal: str, share: float, worse: Callable[[float, float], float]
) -> None:
    measured[goal] = worse(measured.get(goal, share), share)


def share_of_limit(
    programs: Programs, scene: Scene, client: Callable[[str, int], list], seconds: float
) -> tuple[float, float]:
    """Share of what the limit left to this client, and share of its calls that were refused."""
    flags = ["--limit", ",".join(map(str, scene.limits)), "--burst", scene.burst]
    seconds = scene.seconds or seconds
    flags += ["--change-every", seconds / 3, "--seconds", seconds]
    if scene.refuse:
        flags += ["--refuse", scene.refuse]
    if scene.closed_every:
        flags += ["--closed-every", scene.closed_every]
    if scene.latency:
        flags += ["--latency", scene.latency]
    # More than the limit lets through in the time, so that there always is another start.
    starts = int(scene.most(seconds) * 1.1) + 1000
    with Frontend(programs.frontend, *flags) as frontend, tempfile.TemporaryFile("w+") as log:
        command = pinned(-1, client(frontend.address, starts))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        # A client that ends without a start would be waited for without end.
        watch = threading.Thread(target=lambda: (process.wait(), frontend.end()), daemon=True)
        watch.start()
        try:
            began = frontend.line()
            if scene.rival and began:
                rival(programs, frontend, scene)
            line = frontend.line()
            if not line:
                sys.exit(f"error: a client ended early:\n{tail(log)}")
        finally:
            stop(process)
    print(f"{scene.name}: {line.strip()}", file=sys.stderr)
    counts = json.loads(line)
    rivals = counts["rivalAccepted"] + counts["rivalRefused"]
    calls = counts["accepted"] + counts["refused"]
    return counts["accepted"] / (counts["available"] - rivals), counts["refused"] / calls


def rival(programs: Programs, frontend: Frontend, scene: Scene) -> None:
    """Another client of the same service for a while: it keeps its pace whatever it is told."""
    time.sleep(scene.rival_from)
    command = [programs.raw, "--address", frontend.address, "--prefix", "rival-"]
    process = subprocess.Popen([*command, "--rate", str(scene.rival)])
    time.sleep(scene.rival_until - scene.rival_from)
    stop(process)
