"""The programs that are measured: what they are given, and how they are called."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARALLELISM = 50

HEAD = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata:\n  name: bench\nstarts:\n"


@dataclass
class Programs:
    """Where the programs are, and a folder for what they read and write."""

    ours: str
    frontend: str
    raw: str
    events: str
    texts: str
    rust_sdk: str
    temporal: str
    # Empty where it is not installed.
    node: str
    work: Path

    def written(self, name: str, head: str, piece: Callable[[int], str], count: int) -> Path:
        """A file of a head and so many pieces, made when it is first asked for."""
        path = self.work / name
        if not path.exists():
            with path.open("w") as file:
                file.write(head)
                file.writelines(map(piece, range(count)))
        return path

    def entries(self, starts: int) -> Path:
        """A manifest of this many entries, each spelled out."""

        def entry(number: int) -> str:
            return (
                "  - type: Bench\n"
                f"    workflowId: bench-{number}\n"
                "    taskQueue: bench\n"
                f"    args: [{{customer: customer-{number}, cents: {number}}}]\n"
            )

        return self.written(f"{starts}.yaml", HEAD, entry, starts)

    def large_entries(self, starts: int) -> Path:
        """The same with more in each entry: 300 bytes."""

        def entry(number: int) -> str:
            return (
                "  - type: Bench\n"
                f"    workflowId: bench-{number:06}\n"
                "    taskQueue: bench\n"
                "    idReusePolicy: RejectDuplicate\n"
                "    executionTimeout: 1h30m\n"
                "    memo:\n"
                "      origin: nightly\n"
                "    args:\n"
                f"      - customer: customer-{number:06}\n"
                f"        cents: {number}\n"
                "        currency: EUR\n"
                f'        note: "invoice {number:06} of this month"\n'
            )

        return self.written(f"{starts}-large.yaml", HEAD, entry, starts)

    def jsonl(self, starts: int) -> Path:
        """A manifest of one entry that stands for this many rows of JSONL."""

        def row(number: int) -> str:
            return f'{{"id":{number},"customer":"customer-{number}","cents":{number}}}\n'

        rows = self.written(f"{starts}.jsonl", "", row, starts)
        return self.for_each(f"jsonl: {rows.name}", "${{ row.cents }}", f"{starts}-jsonl.yaml")

    def csv(self, starts: int) -> Path:
        """A manifest of one entry that stands for this many rows of CSV."""

        def row(number: int) -> str:
            return f"{number},customer-{number},{number}\n"

        rows = self.written(f"{starts}.csv", "id,customer,cents\n", row, starts)
        return self.for_each(f"csv: {rows.name}", "${{ row.cents | int }}", f"{starts}-csv.yaml")

    def for_each(self, rows: str, cents: str, name: str) -> Path:
        path = self.work / name
        path.write_text(
            f"{HEAD}"
            f"  - forEach: {{{rows}}}\n"
            "    type: Bench\n"
            "    workflowId: bench-${{ row.id }}\n"
            "    taskQueue: bench\n"
            f'    args: [{{customer: "${{{{ row.customer }}}}", cents: "{cents}"}}]\n'
        )
        return path

    def apply(
        self, manifest: Path, address: str, parallelism: int = PARALLELISM, output: str = "none"
    ) -> list:
        """With a journal."""
        journal = self.work / "journal.jsonl"
        journal.unlink(missing_ok=True)
        return [
            self.ours, "apply", manifest, "--address", address, "--parallelism", parallelism,
            "--journal", journal, "--output", output,
        ]  # fmt: skip

    def apply_entries(self, address: str, starts: int) -> list:
        return self.apply(self.entries(starts), address)

    def apply_jsonl(self, address: str, starts: int) -> list:
        return self.apply(self.jsonl(starts), address)

    def apply_csv(self, address: str, starts: int) -> list:
        return self.apply(self.csv(starts), address)

    def raw_loop(self, address: str, starts: int) -> list:
        return [self.raw, "--address", address, "--parallelism", PARALLELISM, "--starts", starts]

    def rust(self, address: str, starts: int) -> list:
        return [self.rust_sdk, address, PARALLELISM, starts]

    def python(self, address: str, starts: int) -> list:
        return [sys.executable, HERE / "peers" / "python_sdk.py", address, PARALLELISM, starts]

    def typescript(self, address: str, starts: int) -> list:
        script = HERE / "peers" / "typescript" / "start.mjs"
        return [self.node, script, address, PARALLELISM, starts]

    def shell_loop(self, address: str, starts: int) -> list:
        """A process for each start, and the shell that waits for all of them."""
        command = [
            *self.cli_start(address), "--workflow-id", "shell-{}",
            "--input", '{"customer":"customer-{}","cents":{}}',
        ]  # fmt: skip
        script = 'seq "$1" | xargs -P "$2" -I "{}" "${@:3}"'
        return ["bash", "-c", script, "bash", starts, PARALLELISM, *command]

    def cli_start(self, address: str) -> list:
        return [
            self.temporal, "workflow", "start", "--address", address, "--disable-config-file",
            "--type", "Bench", "--task-queue", "bench",
        ]  # fmt: skip
