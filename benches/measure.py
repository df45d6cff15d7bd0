"""What scripts/bench runs: each client against a null frontend, in turns, and tables of ratios.

Absolute figures say little, as they depend on the machine and on what else it does: only what
was measured in one run is compared. Processes started here are ended here, by their process ID.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bounds import bounds
from goals import print_goals
from pacing import pacing
from processes import Frontend, Spent, spend
from programs import HERE, PARALLELISM, Programs


def median_of(runs: Iterable[Spent], value: Callable[[Spent], float]) -> float:
    return statistics.median(value(run) for run in runs)


def ratio_of(runs: list[Spent], base: list[Spent], value: Callable[[Spent], float]) -> float:
    """Median of the ratios of what was run in the same turn."""
    return statistics.median(value(a) / value(b) for a, b in zip(runs, base, strict=True))


def in_turns(pairs: int, commands: dict[str, Callable[[], Spent]]) -> dict[str, list[Spent]]:
    spent: dict[str, list[Spent]] = {name: [] for name in commands}
    for turn in range(pairs):
        for name, run in commands.items():
            print(f"turn {turn + 1} of {pairs}: {name}", file=sys.stderr)
            spent[name].append(run())
    return spent


@dataclass
class Client:
    """Makes starts. Peers make fewer, as they take long: enough that their start-up is little."""

    name: str
    command: Callable[[str, int], list]
    starts: int
    # The goal that sets a peer against ours.
    goal: str = ""
    # Many processes, of which the largest is told.
    many: bool = False

    def run(self, frontend_program: str) -> Spent:
        """CPU of one start, by the whole of the client's processes."""
        with Frontend(frontend_program) as frontend:
            used = spend(self.command(frontend.address, self.starts), self.name)
            accepted = frontend.ask()["accepted"]
        if accepted != self.starts:
            sys.exit(f"error: {self.name} made {accepted} of {self.starts} starts")
        used.cpu /= self.starts
        return used


def cost(programs: Programs, pairs: int) -> dict[str, float]:
    """Processor time of the whole client, start-up included, for each start."""
    raw, jsonl = "raw tonic loop", "ours, JSONL rows"
    csv, entries = "ours, CSV rows", "ours, one YAML file"
    clients = [
        Client(raw, programs.raw_loop, 30_000),
        Client(jsonl, programs.apply_jsonl, 30_000),
        Client(csv, programs.apply_csv, 30_000),
        Client(entries, programs.apply_entries, 30_000),
        Client("Rust SDK", programs.rust, 10_000, "cost rust"),
        Client("Python SDK", programs.python, 10_000, "cost python"),
        Client("xargs, temporal workflow start", programs.shell_loop, 200, "cost shell", many=True),
    ]
    if programs.node:
        typescript = Client("TypeScript SDK", programs.typescript, 10_000, "cost typescript")
        clients.insert(-1, typescript)
    runs = {client.name: lambda client=client: client.run(programs.frontend) for client in clients}
    spent = in_turns(pairs, runs)
    print(f"| client, P={PARALLELISM} | starts | CPU us a start | of raw | of ours, JSONL | MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    measured = {}
    for client in clients:
        own = spent[client.name]
        cpu = median_of(own, lambda run: run.cpu * 1e6)
        of_raw, of_ours = (
            ratio_of(own, spent[base], lambda run: run.cpu) for base in (raw, jsonl)
        )
        mib = f"{median_of(own, lambda run: run.rss_mib):.0f}"
        if client.many:
            mib = f"{median_of(own, lambda run: run.largest_mib):.0f} each"
        cells = [f"{client.starts:,}", f"{cpu:.1f}", f"{of_raw:.2f}", f"{of_ours:,.2f}", mib]
        print(f"| {client.name} | {' | '.join(cells)} |", flush=True)
        if client.goal:
            measured[client.goal] = of_ours
        for name, goal in ((jsonl, "cost jsonl"), (csv, "cost csv"), (entries, "cost yaml")):
            if client.name == name:
                measured[goal] = of_raw
    if not programs.node:
        print("| TypeScript SDK | left out: no node and npm | | | | |")
    return measured


def memory(programs: Programs) -> dict[str, float]:
    """What many starts from rows hold, with everything on that is written. One run of each."""
    few, many = 10_000, 1_000_000
    measured = {}
    print("| rows, P=200, journal and reports | starts | MiB | wall s | distinct Workflow IDs |")
    print("|---|---:|---:|---:|---:|")
    for kind, manifest in (("jsonl", programs.jsonl), ("csv", programs.csv)):
        peaks = {}
        for starts in (few, many):
            print(f"{kind}, {starts:,} starts", file=sys.stderr)
            with Frontend(programs.frontend, "--distinct", starts) as frontend:
                used = apply_with_reports(programs, manifest(starts), frontend.address)
                distinct = frontend.ask()["distinct"]
            peaks[starts] = used.rss_mib
            cells = [kind.upper(), f"{starts:,}", f"{used.rss_mib:.1f}", f"{used.wall:.1f}"]
            print(f"| {' | '.join(cells)} | {distinct:,} |", flush=True)
        # Of the last run, which is that of many.
        measured[f"rss {kind}"] = peaks[many]
        measured[f"growth {kind}"] = peaks[many] - peaks[few]
        measured[f"distinct {kind}"] = distinct
    return measured


def apply_with_reports(programs: Programs, manifest: Path, address: str) -> Spent:
    report, output = programs.work / "report.json", programs.work / "output.json"
    command = programs.apply(manifest, address, parallelism=200, output="json")
    command += ["--report", f"json={report}"]
    used = spend(command, "ours", output)
    report.unlink()
    output.unlink()
    return used


def yaml(programs: Programs, pairs: int) -> dict[str, float]:
    """A large file checked, beside a loop that only takes its parser's events."""
    entries = 100_000
    manifest = programs.large_entries(entries)
    ours, parser = "ours", "its parser's events alone"
    spent = in_turns(
        pairs,
        {
            parser: lambda: spend([programs.events, manifest], parser),
            ours: lambda: spend([programs.ours, "validate", manifest], ours),
        },
    )
    size = manifest.stat().st_size / 1e6
    print(f"| check of {entries:,} entries, {size:.0f} MB | wall s | of the parser | MiB |")
    print("|---|---:|---:|---:|")
    ratios = {}
    for name, runs in spent.items():
        wall = median_of(runs, lambda run: run.wall)
        ratios[name] = ratio_of(runs, spent[parser], lambda run: run.wall)
        rss = median_of(runs, lambda run: run.rss_mib)
        print(f"| {name} | {wall:.3f} | {ratios[name]:.2f} | {rss:.0f} |", flush=True)
    return {"rss yaml": median_of(spent[ours], lambda run: run.rss_mib), "wall yaml": ratios[ours]}


def validate(programs: Programs, pairs: int) -> dict[str, float]:
    """The same file checked by others that know JSON Schema."""
    entries = 10_000
    manifest = programs.entries(entries)
    schema = HERE.parent / "schemas" / "manifest.schema.json"
    ours, library, checker = "ours", "PyYAML (C) + jsonschema", "check-jsonschema"
    commands = {
        ours: [programs.ours, "validate", manifest],
        library: [sys.executable, HERE / "peers" / "python_jsonschema.py", schema, manifest],
        checker: [Path(sys.executable).parent / checker, "--schemafile", schema, manifest],
    }
    spent = in_turns(
        pairs,
        {name: lambda name=name: spend(commands[name], name) for name in commands},
    )
    print(f"| check of {entries:,} entries | wall s | of ours | MiB |")
    print("|---|---:|---:|---:|")
    ratios = {}
    for name, runs in spent.items():
        wall = median_of(runs, lambda run: run.wall)
        ratios[name] = ratio_of(runs, spent[ours], lambda run: run.wall)
        rss = median_of(runs, lambda run: run.rss_mib)
        print(f"| {name} | {wall:.3f} | {ratios[name]:.1f} | {rss:.0f} |", flush=True)
    return {"check-jsonschema": ratios[checker], "jsonschema": ratios[library]}


def cold(programs: Programs, pairs: int) -> dict[str, float]:
    """One start by a whole process, as a shell script makes it: neither keeps a journal."""
    manifest = programs.entries(1)
    ours, theirs = "ours", "temporal workflow start"
    # One start takes little, and varies much.
    pairs *= 4
    with Frontend(programs.frontend) as frontend:
        commands = {
            theirs: [*programs.cli_start(frontend.address), "--workflow-id", "cold"],
            ours: [programs.ours, "apply", manifest, "--address", frontend.address],
        }
        # The first of each reads its program from the disk.
        runs = {name: lambda name=name: spend(commands[name], name) for name in commands}
        in_turns(1, runs)
        spent = in_turns(pairs, runs)
    print("| one start, whole process | wall ms | CPU ms | wall, of the CLI's | CPU |")
    print("|---|---:|---:|---:|---:|")
    for name, runs_of in spent.items():
        wall = median_of(runs_of, lambda run: run.wall * 1000)
        cpu = median_of(runs_of, lambda run: run.cpu * 1000)
        walls = ratio_of(runs_of, spent[theirs], lambda run: run.wall)
        cpus = ratio_of(runs_of, spent[theirs], lambda run: run.cpu)
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {walls:.3f} | {cpus:.3f} |", flush=True)
    return {"cold": ratio_of(spent[ours], spent[theirs], lambda run: run.wall)}


def latency(programs: Programs, pairs: int) -> dict[str, float]:
    """A service that takes its time: how full the client keeps its slots."""
    starts, milliseconds = 10_000, 20
    shares, helds, in_flight = [], [], []
    for _ in range(pairs):
        with Frontend(programs.frontend, "--latency", milliseconds) as frontend:
            spend(programs.apply_jsonl(frontend.address, starts), "ours")
            counts = frontend.ask()
        bound = PARALLELISM / milliseconds * 1000
        shares.append(counts["accepted"] / counts["seconds"] / bound)
        helds.append(counts["heldMs"])
        in_flight.append(counts["maxInFlight"])
    share, held = statistics.median(shares), statistics.median(helds)
    print(
        f"| {milliseconds} ms latency, P={PARALLELISM} | share of P / {milliseconds} ms"
        " | held by the server, ms | of P / held | most in flight |"
    )
    print("|---|---:|---:|---:|---:|")
    of_held = share * held / milliseconds
    print(f"| ours | {share:.3f} | {held:.2f} | {of_held:.3f} | {max(in_flight)} |", flush=True)
    # One run with too few or too many is not made good by others.
    worst = max(in_flight, key=lambda most: abs(most - PARALLELISM))
    return {"latency": share, "in flight": worst}


BENCHMARKS: dict[str, Callable[[Programs, argparse.Namespace], dict[str, float]]] = {
    "cost": lambda programs, given: cost(programs, given.pairs),
    "memory": lambda programs, _: memory(programs),
    "yaml": lambda programs, given: yaml(programs, given.pairs),
    "validate": lambda programs, given: validate(programs, given.pairs),
    "cold": lambda programs, given: cold(programs, given.pairs),
    "latency": lambda programs, given: latency(programs, given.pairs),
    "bounds": lambda programs, _: bounds(programs.ours, programs.texts, programs.work),
    "pacing": lambda programs, given: pacing(programs, given.seconds, given.only),
}


def first_line(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def print_machine(programs: Programs) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [
        first_line(programs.ours, "--version"),
        f"{cores} cores",
        processor(),
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()} with temporalio {version('temporalio')}",
        first_line(programs.temporal, "--version"),
    ]
    if programs.node:
        facts.append(f"node {first_line(programs.node, '--version')}")
    print("; ".join(facts), end="\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="+", choices=BENCHMARKS)
    for program in ("ours", "frontend", "raw", "events", "texts", "rust-sdk", "temporal", "node"):
        parser.add_argument(f"--{program}", required=True)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each pacing scene")
    parser.add_argument("--pairs", type=int, default=5, help="of runs of each client")
    parser.add_argument("--only", default="", help="pacing scenes that match this pattern")
    given = parser.parse_args()
    measured: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="temporal-manifest.") as work:
        programs = Programs(
            ours=given.ours,
            frontend=given.frontend,
            raw=given.raw,
            events=given.events,
            texts=given.texts,
            rust_sdk=given.rust_sdk,
            temporal=given.temporal,
            node=given.node,
            work=Path(work),
        )
        print_machine(programs)
        for name in given.what:
            print(f"==> measuring {name}", file=sys.stderr)
            print(f"## {name}\n")
            measured |= BENCHMARKS[name](programs, given)
            print(flush=True)
    print("## Goals\n")
    print_goals(measured)


if __name__ == "__main__":
    main()
