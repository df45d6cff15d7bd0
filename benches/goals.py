"""What the project holds itself to, and a table of what was measured beside it."""

from dataclasses import dataclass
from enum import Enum


class Bound(Enum):
    MOST = "<="
    LEAST = ">="
    EXACTLY = "="

    def holds(self, measured: float, limit: float) -> bool:
        match self:
            case Bound.MOST:
                return measured <= limit
            case Bound.LEAST:
                return measured >= limit
            case Bound.EXACTLY:
                return measured == limit


@dataclass(frozen=True)
class Goal:
    number: str
    what: str
    bound: Bound
    must: float | None
    aim: float | None
    # How a value is written, its unit included.
    form: str = "{:,.2f} x"

    def row(self, measured: float) -> str:
        limits = [
            f"{self.bound.value} {self.form.format(limit)}" if limit is not None else "-"
            for limit in (self.must, self.aim)
        ]
        cells = [self.number, self.what, self.form.format(measured), *limits, self.met(measured)]
        return f"| {' | '.join(cells)} |"

    def met(self, measured: float) -> str:
        if self.must is None and self.aim is None:
            return "-"
        if self.aim is not None and self.bound.holds(measured, self.aim):
            return "aim"
        if self.must is not None:
            return "must" if self.bound.holds(measured, self.must) else "**no**"
        return "not the aim"


MOST, LEAST, EXACTLY = Bound.MOST, Bound.LEAST, Bound.EXACTLY
MIB, SHARE, COUNT = "{:,.1f} MiB", "{:.1%}", "{:,.0f}"
GROWTH = "peak RSS, {}, 1,000,000 starts less 10,000"

GOALS = {
    "cost jsonl": Goal("1", "CPU a start, JSONL rows, of a raw tonic loop's", MOST, 1.7, 1.2),
    "cost csv": Goal("1", "CPU a start, CSV rows, of a raw tonic loop's", MOST, 1.7, 1.2),
    "cost yaml": Goal("2", "CPU a start, YAML entries, of a raw tonic loop's", MOST, 2.5, 1.8),
    "cost rust": Goal("3", "CPU a start of the Rust SDK, of ours", LEAST, 8, 12),
    "cost python": Goal("3", "CPU a start of the Python SDK, of ours", LEAST, 13, 20),
    "cost typescript": Goal("3", "CPU a start of the TypeScript SDK, of ours", LEAST, 18, 28),
    "cost shell": Goal("3", "CPU a start of xargs and the CLI, of ours", LEAST, 2500, 4000),
    "rss jsonl": Goal("4", "peak RSS, 1,000,000 JSONL rows", MOST, 20, 16, MIB),
    "growth jsonl": Goal("4", GROWTH.format("JSONL"), MOST, 8, None, MIB),
    "distinct jsonl": Goal("4", "Workflow IDs that arrived, JSONL", EXACTLY, 1e6, None, COUNT),
    "rss csv": Goal("4", "peak RSS, 1,000,000 CSV rows", MOST, 20, 16, MIB),
    "growth csv": Goal("4", GROWTH.format("CSV"), MOST, 8, None, MIB),
    "distinct csv": Goal("4", "Workflow IDs that arrived, CSV", EXACTLY, 1e6, None, COUNT),
    "rss yaml": Goal("5", "peak RSS, check of 100,000 YAML entries", MOST, 200, 100, MIB),
    "wall yaml": Goal("5", "time of that check, of its parser's alone", MOST, None, None),
    "check-jsonschema": Goal("6", "check of 10,000 entries: check-jsonschema, of ours", LEAST, 150, 250),
    "jsonschema": Goal("6", "the same: PyYAML (C) + jsonschema, of ours", LEAST, 24, 40),
    "cold": Goal("7", "one start, time of `temporal workflow start`'s", MOST, 1 / 5, 1 / 8, "{:.3f} x"),
    "latency": Goal("8", "20 ms latency, P=50: share of 50 / 20 ms", LEAST, 0.95, 0.98, SHARE),
    "in flight": Goal("8", "the same: most in flight at the server", EXACTLY, 50, None, COUNT),
    "used": Goal("9", "steady limit, the worst: share of it used", LEAST, 0.97, 0.99, SHARE),
    "refused": Goal("9", "steady limit, the worst: calls refused", MOST, 0.05, 0.01, SHARE),
    "used, changing": Goal("9b", "changing limit, the worst: used", LEAST, 0.92, 0.98, SHARE),
    "used, small": Goal("9c", "bucket of 0.1 s, 30 s: share of it used", LEAST, 0.95, 0.98, SHARE),
    "used, small, first 3 s": Goal("9c", "bucket of 0.1 s, the first 3 s: used", LEAST, 0.85, 0.95, SHARE),
    "used, at random": Goal("9d", "refused whatever the rate, the worst: used", LEAST, 0.7, 0.9, SHARE),
    "refused, changing": Goal("9b", "changing limit, the worst: refused", MOST, 0.05, 0.02, SHARE),
    "bounds cpu": Goal("12", "any text up to 10 MB, the slowest: CPU", MOST, 10, 2, "{:,.1f} s"),
    "bounds rss": Goal("12", "the same, the largest: peak RSS", MOST, 512, 256, MIB),
}  # fmt: skip


def print_goals(measured: dict[str, float]) -> None:
    """What was not measured has no row."""
    print("| goal | | measured | must | aim | met |")
    print("|---|---|---:|---:|---:|---|")
    for name, goal in GOALS.items():
        if name in measured:
            print(goal.row(measured[name]))
