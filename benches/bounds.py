"""Texts that nobody should write: how long each is checked for, and how much memory it takes."""

import subprocess
from pathlib import Path

from processes import Spent, spend

SECONDS, MEBIBYTES = 10, 512
# Of each family; the first is of the largest size.
ROUNDS = 6


def bounds(ours: str, texts: str, work: Path) -> dict[str, float]:
    """The slowest and the largest check of all, as shares of what one may take."""
    folder = work / "texts"
    subprocess.run([texts, folder, "1", str(ROUNDS)], check=True)
    checks = [(run(ours, text), (text / "name").read_text()) for text in sorted(folder.iterdir())]
    slowest = max(checks, key=lambda check: check[0].cpu)
    largest = max(checks, key=lambda check: check[0].rss_mib)
    print(f"| of {len(checks)} texts | CPU s | of {SECONDS} s | MiB | of {MEBIBYTES} MiB |")
    print("|---|---:|---:|---:|---:|")
    for used, name in (slowest, largest):
        shown = " ".join(name.split())[:80].replace("|", "\\|")
        time, memory = used.cpu / SECONDS, used.rss_mib / MEBIBYTES
        cells = [f"{used.cpu:.1f}", f"{time:.0%}", f"{used.rss_mib:.0f}", f"{memory:.0%}"]
        print(f"| {shown} | {' | '.join(cells)} |", flush=True)
    return {"bounds cpu": slowest[0].cpu, "bounds rss": largest[0].rss_mib}


def run(ours: str, text: Path) -> Spent:
    words = (text / "command").read_text().split("\n")
    # What it reads is named in its own folder.
    words = [str(text / word) if (text / word).exists() else word for word in words]
    return spend([ours, *words], text.name, refusals=(2, 3, 8))
