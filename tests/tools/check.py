# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks of the project, two at a time: check.py GROUP... or STEP... (check.py --list names them)."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import workspace
from steps import GROUPS, SLOTS, STEPS, Step

LOGS = workspace.BUILD / "logs"
TAIL = 60

# What an interrupt has to stop: each process leads a session of its own.
RUNNING: set[subprocess.Popen[bytes]] = set()


@dataclass
class Outcome:
    step: Step
    state: str = "ok"
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""

    def __str__(self) -> str:
        tests = f"{self.passed} tests" if self.step.pytest and self.passed else ""
        return f"{self.state:8}{self.step.name:18}{self.seconds:7.1f} s  {self.note or tests}".rstrip()


def main(arguments: list[str]) -> int:
    if arguments == ["--list"]:
        print("\n".join([*(f"{name}: {' '.join(GROUPS[name])}" for name in GROUPS), *(s.name for s in STEPS)]))
        return 0
    steps = select(arguments)
    if not steps:
        print(__doc__, file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(workspace.BUILD / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run works in this checkout; waiting for its end.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        workspace.prepare()
        return report(run_all(steps))


def select(arguments: list[str]) -> list[Step]:
    known = {step.name: step for step in STEPS}
    wanted = {name for argument in arguments for name in GROUPS.get(argument, (argument,))}
    if wanted - set(known):
        return []
    while more := {need for name in wanted for need in known[name].all_needs} - wanted:
        wanted |= more
    return [step for step in STEPS if step.name in wanted]


def run_all(steps: list[Step]) -> list[Outcome]:
    pythons = workspace.pythons()
    if missing := [version for version in workspace.SUPPORTED if version not in pythons]:
        print(f"Not on this machine, so not checked: Python {', '.join(missing)}", flush=True)
    path = workspace.search_path(pythons.values())
    waiting = list(steps)
    running: dict[concurrent.futures.Future[Outcome], Step] = {}
    done: dict[str, Outcome] = {}
    with concurrent.futures.ThreadPoolExecutor(SLOTS) as pool, interruptible():
        while len(done) < len(steps):
            free = SLOTS - sum(step.slots for step in running.values())
            for step in list(waiting):
                if step.slots <= free and all(need in done for need in step.all_needs):
                    waiting.remove(step)
                    running[pool.submit(run, step, path, done)] = step
                    free -= step.slots
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                done[running.pop(future).name] = show(future.result())
    return [done[step.name] for step in steps]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        for process in list(RUNNING):
            stop(process)
        sys.exit(130)


def run(step: Step, path: str, done: dict[str, Outcome]) -> Outcome:
    broken = [need for need in step.all_needs if done[need].state != "ok"]
    if broken:
        return Outcome(step, "FAILED", failed=1, note=f"not run, because of {' and '.join(broken)}")
    if step.as_root and os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            return Outcome(step, "FAILED", failed=1, note="needs root, and with CI=true nothing is skipped")
        return Outcome(step, "SKIPPED", skipped=1, note="needs root")
    if step.only_if and not holds(step, path):
        return Outcome(step, "SKIPPED", skipped=1, note=step.otherwise)
    outcome = Outcome(step)
    started = time.monotonic()
    log = LOGS / f"{step.name}.log"
    with open(log, "w") as stream:
        code = execute(step, path, stream)
    outcome.seconds = time.monotonic() - started
    if step.pytest:
        outcome.passed, outcome.failed, outcome.skipped = pytest_counts(log.read_text(errors="replace"))
    if code != 0:
        outcome.state = "FAILED"
        outcome.failed = outcome.failed or 1
    elif not step.pytest and not step.prepares:
        outcome.passed = 1
    return outcome


def holds(step: Step, path: str) -> bool:
    """Whether the step's condition does."""
    environment = workspace.variables(path, step.venv, step.private_home)
    return subprocess.run(["/bin/sh", "-c", step.only_if], cwd=workspace.ROOT, env=environment).returncode == 0


def execute(step: Step, path: str, stream: IO[str]) -> int:
    tree = workspace.BUILD / "tree" / step.name
    cwd = workspace.copy_collection(tree) if step.in_copy else workspace.ROOT
    minor = workspace.venv_minor(step.venv)
    command = step.command.format(root=workspace.ROOT, dist=workspace.DIST, tree=tree, minor=minor)
    print(f"+ {command}", file=stream, flush=True)
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env=workspace.variables(path, step.venv, step.private_home),
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    RUNNING.add(process)
    try:
        return process.wait(step.minutes * 60)
    except subprocess.TimeoutExpired:
        print(f"\nStopped after {step.minutes} minutes.", file=stream, flush=True)
        stop(process)
        return 1
    finally:
        RUNNING.discard(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Gently first: pytest takes down its labs on an interrupt."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def pytest_counts(log: str) -> tuple[int, int, int]:
    """The sum over each run of pytest in a log: passed, failed, skipped."""
    counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    for summary in re.findall(r"^=*\s?((?:\d+ \w+, )*\d+ \w+) in [\d.]+s.*$", log, re.MULTILINE):
        for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", summary):
            counts[word] += int(number)
    return counts["passed"], counts["failed"] + counts["error"], counts["skipped"]


def show(outcome: Outcome) -> Outcome:
    print(outcome, flush=True)
    if outcome.state == "FAILED" and not outcome.note:
        log = LOGS / f"{outcome.step.name}.log"
        tail = log.read_text(errors="replace").splitlines()[-TAIL:]
        print("\n".join(["", f"--- the end of {log} ---", *tail, "---", ""]), flush=True)
    return outcome


def report(outcomes: list[Outcome]) -> int:
    print("\nSummary", *outcomes, sep="\n")
    passed, failed, skipped = (sum(getattr(o, kind) for o in outcomes) for kind in ("passed", "failed", "skipped"))
    print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
