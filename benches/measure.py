"""What scripts/bench runs: each client against a null frontend, in turns, and tables of ratios.

Absolute figures say little, as they depend on the machine and on what else it does: only what
was measured in one run is compared. Processes started here are ended here, by their process ID.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARALLELISM = 50
MEMORY_PARALLELISM = 200
# Longest time that one client may take before the run is given up.
PATIENCE = 600


def pinned(core: int, command: list) -> list:
    """Servers run on the first core and clients on the last, where there are two and a way."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(cores[core]), *command]


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
            pinned(0, [program, *map(str, flags)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()

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
    """What a client that ran to its end has used."""

    cpu: float
    wall: float
    rss_mib: float


def spend(command: list, name: str) -> Spent:
    """Runs a client to its end."""
    with tempfile.TemporaryFile("w+") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            pinned(-1, list(map(str, command))),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            log.seek(0)
            sys.exit(f"error: {name} ended with {process.returncode}:\n{log.read()[-2000:]}")
    wall = time.monotonic() - began
    return Spent(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


@dataclass
class Goal:
    """A figure that is to be reached: at most, or at least."""

    what: str
    measured: float
    must: float
    aim: float
    at_most: bool = True

    def reaches(self, bound: float) -> bool:
        return self.measured <= bound if self.at_most else self.measured >= bound

    def row(self) -> str:
        sign = "<=" if self.at_most else ">="
        met = "aim" if self.reaches(self.aim) else "must" if self.reaches(self.must) else "NO"
        bounds = f"{sign} {self.must:g} | {sign} {self.aim:g}"
        return f"| {self.what} | {self.measured:.4g} | {bounds} | {met} |"


@dataclass
class Bench:
    """The programs, and a folder for what they write."""

    ours: str
    frontend: str
    raw: str
    yaml_events: str
    temporal: str
    typescript: Path | None
    work: Path
    goals: list[Goal] = field(default_factory=list)

    def manifest(self, starts: int) -> Path:
        """A manifest of this many entries, each spelled out."""
        path = self.work / f"{starts}.yaml"
        if path.exists():
            return path
        with path.open("w") as file:
            file.write("apiVersion: temporal-manifest/v1\nkind: Starts\n")
            file.write("metadata:\n  name: bench\nstarts:\n")
            for number in range(starts):
                file.write(
                    "  - type: Bench\n"
                    f"    workflowId: bench-{number}\n"
                    "    taskQueue: bench\n"
                    f"    args: [{{customer: customer-{number}, cents: {number}}}]\n"
                )
        return path

    def rows(self, starts: int, kind: str = "jsonl") -> Path:
        """A manifest of one entry over this many rows, which come to the same starts."""
        path = self.work / f"{starts}-{kind}.yaml"
        if path.exists():
            return path
        with (self.work / f"{starts}.{kind}").open("w") as file:
            if kind == "csv":
                file.write("id,customer,cents\n")
            for number in range(starts):
                if kind == "csv":
                    file.write(f"{number},customer-{number},{number}\n")
                else:
                    row = {"id": number, "customer": f"customer-{number}", "cents": number}
                    file.write(json.dumps(row) + "\n")
        path.write_text(
            "apiVersion: temporal-manifest/v1\nkind: Starts\n"
            "metadata:\n  name: bench\nstarts:\n"
            f"  - forEach: {{{kind}: {starts}.{kind}}}\n"
            "    type: Bench\n"
            "    workflowId: bench-${{ row.id }}\n"
            "    taskQueue: bench\n"
            "    args: [{customer: '${{ row.customer }}', cents: '${{ row.cents | int }}'}]\n"
        )
        return path

    def apply_rows(self, address: str, starts: int) -> list:
        return self.apply(address, starts, self.rows(starts))

    def apply_csv(self, address: str, starts: int) -> list:
        return self.apply(address, starts, self.rows(starts, "csv"))

    def node(self, address: str, starts: int) -> list:
        return ["node", self.typescript / "start.mjs", address, PARALLELISM, starts]

    def shell(self, address: str, starts: int) -> list:
        """What a shell script does: a process for each start, as many at a time."""
        start = (
            f"{self.temporal} workflow start --address {address} --disable-config-file"
            " --type Bench --task-queue bench --workflow-id shell-{}"
            """ --input '{"customer":"customer-{}","cents":{}}'"""
        )
        quoted = start.replace("'", "'\\''")
        loop = f"seq {starts} | xargs -P {PARALLELISM} -I {{}} sh -c '{quoted}'"
        return ["sh", "-c", f"{loop} >/dev/null"]

    def apply(self, address: str, starts: int, manifest: Path | None = None) -> list:
        journal = self.work / "journal.jsonl"
        journal.unlink(missing_ok=True)
        return [
            self.ours, "apply", manifest or self.manifest(starts), "--address", address,
            "--parallelism", PARALLELISM, "--journal", journal, "--output", "none",
        ]  # fmt: skip

    def python(self, address: str, starts: int) -> list:
        script = HERE / "peers" / "python_sdk.py"
        return [sys.executable, script, address, PARALLELISM, starts]

    def raw_loop(self, address: str, starts: int) -> list:
        return [self.raw, "--address", address, "--parallelism", PARALLELISM, "--starts", starts]


@dataclass
class Scene:
    """A service's limit over a time, and what another client does meanwhile."""

    name: str
    limits: list
    burst: float = 1.0
    rival: float = 0.0
    rival_from: float = 0.0
    rival_until: float = 0.0

    def most(self, seconds: float) -> float:
        return max(self.limits) * (seconds + self.burst)


def pacing(bench: Bench, seconds: float, only: str) -> None:
    third = seconds / 3
    scenes = [
        Scene("50/s", [50]),
        Scene("1,000/s", [1000]),
        Scene("1,000/s, bucket of 0.1 s", [1000], burst=0.1),
        Scene("5,000/s", [5000]),
        Scene(f"1,000/s and 300/s by turns of {third:.0f} s", [1000, 300]),
        Scene("1,000/s, a rival takes half", [1000], rival=500, rival_until=seconds),
        Scene(
            f"1,000/s, a rival takes half from second {third:.0f} to {2 * third:.0f}",
            [1000],
            rival=500,
            rival_from=third,
            rival_until=2 * third,
        ),
    ]
    print("| limit | ours: used | refused | Python SDK: used | refused |")
    print("|---|---:|---:|---:|---:|")
    for scene in scenes:
        if not re.search(only, scene.name):
            continue
        cells = []
        for client in (bench.apply, bench.python):
            used, refused = share_of_limit(bench, scene, client, seconds)
            cells += [f"{used:.1%}", f"{refused:.1%}"]
        print(f"| {scene.name} |", " | ".join(cells), "|", flush=True)


def share_of_limit(bench: Bench, scene: Scene, client, seconds: float) -> tuple:
    """Share of what the limit left to this client, and share of its calls that were refused."""
    flags = ["--limit", ",".join(map(str, scene.limits)), "--burst", scene.burst]
    flags += ["--change-every", seconds / 3, "--seconds", seconds]
    # More than the limit lets through in the time, so that there always is another start.
    starts = int(scene.most(seconds) * 1.1) + 1000
    with Frontend(bench.frontend, *flags) as frontend, tempfile.TemporaryFile() as log:
        command = pinned(-1, list(map(str, client(frontend.address, starts))))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        # A client that ends without a start would be waited for without end.
        watch = threading.Thread(target=lambda: (process.wait(), frontend.end()), daemon=True)
        watch.start()
        try:
            began = frontend.line()
            if scene.rival and began:
                rival(bench, frontend, scene)
            counts = frontend.line()
            if not counts:
                log.seek(0)
                sys.exit(f"error: a client ended early:\n{log.read().decode()[-2000:]}")
        finally:
            stop(process)
    print(f"{scene.name}: {counts.strip()}", file=sys.stderr)
    counts = json.loads(counts)
    rivals = counts["rivalAccepted"] + counts["rivalRefused"]
    calls = counts["accepted"] + counts["refused"]
    return counts["accepted"] / (counts["available"] - rivals), counts["refused"] / calls


def rival(bench: Bench, frontend: Frontend, scene: Scene) -> None:
    """Another client of the same service for a while: it keeps its pace whatever it is told."""
    time.sleep(scene.rival_from)
    command = [bench.raw, "--address", frontend.address, "--prefix", "rival-"]
    process = subprocess.Popen([*command, "--rate", str(scene.rival)])
    time.sleep(scene.rival_until - scene.rival_from)
    stop(process)


def cost(bench: Bench, pairs: int) -> None:
    """Processor time of the whole client process for each start."""
    starts, python_starts, shell_starts = 30_000, 3_000, 200
    jsonl, yaml = "ours, JSONL rows", "ours, one YAML file"
    clients = {
        "raw tonic loop": (bench.raw_loop, starts),
        jsonl: (bench.apply_rows, starts),
        "ours, CSV rows": (bench.apply_csv, starts),
        yaml: (bench.apply, starts),
        "Python SDK": (bench.python, python_starts),
        "TypeScript SDK": (bench.node, python_starts),
        "xargs + temporal workflow start": (bench.shell, shell_starts),
    }
    if bench.typescript is None:
        del clients["TypeScript SDK"]
    bench.manifest(starts)
    bench.rows(starts)
    bench.rows(starts, "csv")
    spent = {name: [] for name in clients}
    for _ in range(pairs):
        for name, (client, number) in clients.items():
            with Frontend(bench.frontend) as frontend:
                used = spend(client(frontend.address, number), name)
                counts = frontend.ask()
            if counts["accepted"] != number:
                sys.exit(f"error: {name} made {counts['accepted']} of {number} starts")
            spent[name].append((used.cpu / number * 1e6, used.rss_mib))
    raw = [cpu for cpu, _ in spent["raw tonic loop"]]
    print(f"| client, {starts:,} starts, P={PARALLELISM} | CPU us a start | against raw | MiB |")
    print("|---|---:|---:|---:|")
    for name, runs in spent.items():
        ratio = statistics.median(cpu / base for (cpu, _), base in zip(runs, raw))
        cpu, rss = (statistics.median(column) for column in zip(*runs))
        number = clients[name][1]
        label = name if number == starts else f"{name}, {number:,} starts"
        print(f"| {label} | {cpu:.1f} | {ratio:.2f} | {rss:.0f} |", flush=True)

    def ratio(name: str, other: str) -> float:
        pairs = zip(spent[name], spent[other])
        return statistics.median(a / b for (a, _), (b, _) in pairs)

    bench.goals += [
        Goal("1: CPU a start, JSONL rows, of a raw tonic loop's", ratio(jsonl, "raw tonic loop"), 2.0, 1.4),
        Goal("2: CPU a start, one YAML file, of a raw tonic loop's", ratio(yaml, "raw tonic loop"), 4.0, 2.5),
    ]
    bounds = {
        "Python SDK": (8, 14),
        "TypeScript SDK": (15, 25),
        "xargs + temporal workflow start": (2_000, 3_000),
    }
    for name, (must, aim) in bounds.items():
        if name in clients:
            what = f"3: CPU a start, {name}, of ours"
            bench.goals.append(Goal(what, ratio(name, jsonl), must, aim, at_most=False))


def memory(bench: Bench, pairs: int) -> None:
    """Peak memory for few and very many rows, with a journal and reports."""
    few, many = 10_000, 1_000_000
    print(f"| rows, P={MEMORY_PARALLELISM}, journal and reports on | distinct IDs | peak MiB |")
    print("|---|---:|---:|")
    for kind in ("jsonl", "csv"):
        peak = {}
        for rows in (few, many):
            manifest = bench.rows(rows, kind)
            with Frontend(bench.frontend, "--distinct", rows) as frontend:
                journal = bench.work / "journal.jsonl"
                journal.unlink(missing_ok=True)
                command = [
                    bench.ours, "apply", manifest, "--address", frontend.address,
                    "--parallelism", MEMORY_PARALLELISM, "--journal", journal,
                    "--output", "json", "--report", f"json={bench.work / 'report.json'}",
                ]  # fmt: skip
                peak[rows] = spend(command, "ours").rss_mib
                distinct = frontend.ask()["distinct"]
            if distinct != rows:
                sys.exit(f"error: {distinct} of {rows} Workflow IDs arrived")
            print(f"| {rows:,} of {kind.upper()} | {distinct:,} | {peak[rows]:.1f} |", flush=True)
        name = kind.upper()
        bench.goals += [
            Goal(f"4: MiB for 1,000,000 {name} rows", peak[many], 40, 20),
            Goal(f"4: MiB more than for 10,000 {name} rows", peak[many] - peak[few], 8, 8),
        ]
    entries = 100_000
    manifest = bench.manifest(entries)
    with manifest.open("rb") as file:
        size = sum(len(piece) for piece in iter(lambda: file.read(1 << 20), b""))
    ours = [spend([bench.ours, "validate", manifest], "ours") for _ in range(pairs)]
    events = [spend([bench.yaml_events, manifest], "the parser") for _ in range(pairs)]
    rss = statistics.median(run.rss_mib for run in ours)
    against = statistics.median(a.wall / b.wall for a, b in zip(ours, events))
    print(f"\n| YAML of {entries:,} entries, {size / 1e6:.0f} MB | wall s | peak MiB |")
    print("|---|---:|---:|")
    for name, runs in (("validate", ours), ("its YAML parser alone", events)):
        wall = statistics.median(run.wall for run in runs)
        print(f"| {name} | {wall:.3f} | {statistics.median(r.rss_mib for r in runs):.0f} |")
    print(f"\n`validate` takes {against:.2f} times what its parser alone takes.", flush=True)
    bench.goals.append(Goal("5: MiB to validate 100,000 YAML entries", rss, 500, 300))


def latency(bench: Bench) -> None:
    """A service that takes its time: how full the client keeps its slots."""
    starts, milliseconds = 10_000, 20
    with Frontend(bench.frontend, "--latency", milliseconds) as frontend:
        spend(bench.apply(frontend.address, starts), "ours")
        counts = frontend.ask()
    # A timer on the server is up to a millisecond late; that is not the client's doing.
    bound = PARALLELISM / counts["heldMs"] * 1000
    share = counts["accepted"] / counts["seconds"] / bound
    print(f"| {milliseconds} ms latency, P={PARALLELISM} | share of the bound | most in flight |")
    print("|---|---:|---:|")
    print(f"| ours | {share:.3f} | {counts['maxInFlight']} |", flush=True)
    bench.goals += [
        Goal("8: share of the bound P/latency", share, 0.93, 0.98, at_most=False),
        Goal("8: most in flight, of P", counts["maxInFlight"] / PARALLELISM, 1, 1),
    ]


def cold(bench: Bench, pairs: int) -> None:
    """One start by a whole process, as a shell script makes it."""
    ours, theirs = [], []
    for number in range(pairs):
        with Frontend(bench.frontend) as frontend:
            ours.append(spend(bench.apply(frontend.address, 1), "ours"))
            command = [bench.temporal, "workflow", "start", "--address", frontend.address]
            command += ["--disable-config-file", "--type", "Bench", "--task-queue", "bench"]
            command += ["--workflow-id", f"cold-{number}"]
            theirs.append(spend(command, "the temporal CLI"))
    print("| one start, whole process | wall ms | CPU ms | ours of it: wall | CPU |")
    print("|---|---:|---:|---:|---:|")
    for name, runs in (("temporal workflow start", theirs), ("ours", ours)):
        wall = statistics.median(run.wall for run in runs) * 1000
        cpu = statistics.median(run.cpu for run in runs) * 1000
        walls = statistics.median(a.wall / b.wall for a, b in zip(ours, runs))
        cpus = statistics.median(a.cpu / b.cpu for a, b in zip(ours, runs))
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {walls:.3f} | {cpus:.3f} |", flush=True)
    share = statistics.median(a.wall / b.wall for a, b in zip(ours, theirs))
    bench.goals.append(Goal("7: wall time of one start, of the CLI's", share, 1 / 4, 1 / 8))


def validate(bench: Bench, pairs: int) -> None:
    """The same file checked by others that know JSON Schema."""
    entries = 10_000
    manifest = bench.manifest(entries)
    schema = HERE.parent / "schemas" / "manifest.schema.json"
    script = HERE / "peers" / "python_jsonschema.py"
    checkers = {
        "ours": [bench.ours, "validate", manifest],
        "PyYAML (C) + jsonschema": [sys.executable, script, schema, manifest],
        "check-jsonschema": [
            Path(sys.executable).parent / "check-jsonschema", "--schemafile", schema, manifest,
        ],
    }  # fmt: skip
    spent = {name: [] for name in checkers}
    for _ in range(pairs):
        for name, command in checkers.items():
            spent[name].append(spend(command, name))
    print(f"| check of {entries:,} entries | wall s | against ours | MiB |")
    print("|---|---:|---:|---:|")
    for name, runs in spent.items():
        wall = statistics.median(run.wall for run in runs)
        ratio = statistics.median(a.wall / b.wall for a, b in zip(runs, spent["ours"]))
        rss = statistics.median(run.rss_mib for run in runs)
        print(f"| {name} | {wall:.3f} | {ratio:.1f} | {rss:.0f} |", flush=True)
    for name, must, aim in (("check-jsonschema", 30, 60), ("PyYAML (C) + jsonschema", 8, 18)):
        ratio = statistics.median(a.wall / b.wall for a, b in zip(spent[name], spent["ours"]))
        what = f"6: wall time of {name}, of ours"
        bench.goals.append(Goal(what, ratio, must, aim, at_most=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ["pacing", "cost", "memory", "latency", "cold", "validate"]
    parser.add_argument("names", nargs="+", choices=names)
    parser.add_argument("--ours", required=True)
    parser.add_argument("--frontend", required=True)
    parser.add_argument("--raw", required=True)
    parser.add_argument("--yaml-events", required=True)
    parser.add_argument("--temporal", required=True)
    parser.add_argument("--typescript", type=Path, help="folder with the installed peer")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each pacing scene")
    parser.add_argument("--pairs", type=int, default=5, help="of runs of each client")
    parser.add_argument("--only", default="", help="pacing scenes that match this pattern")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="temporal-manifest.") as work:
        bench = Bench(
            given.ours, given.frontend, given.raw, given.yaml_events, given.temporal,
            given.typescript, Path(work),
        )  # fmt: skip
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        version = subprocess.run([given.ours, "--version"], capture_output=True, text=True)
        print(
            f"{version.stdout.strip()}; {cores} cores; {platform.system()} {platform.machine()};"
            f" Python {platform.python_version()}"
        )
        for name in given.names:
            print(f"\n## {name}\n", flush=True)
            match name:
                case "pacing":
                    pacing(bench, given.seconds, given.only)
                case "cost":
                    cost(bench, given.pairs)
                case "memory":
                    memory(bench, given.pairs)
                case "latency":
                    latency(bench)
                case "cold":
                    cold(bench, given.pairs)
                case "validate":
                    validate(bench, given.pairs)
    if bench.goals:
        print("\n## goals\n\n| goal | measured | must | aim | met |\n|---|---:|---:|---:|---|")
        for goal in bench.goals:
            print(goal.row())


if __name__ == "__main__":
    main()
