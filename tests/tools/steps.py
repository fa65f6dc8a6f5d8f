# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to check, and with which environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# A machine of two cores is the measure.
SLOTS = 2
# Hosts of a lab wait for each other, and for their pools, half of the time.
WORKERS = 2 * SLOTS


@dataclass(frozen=True)
class Step:
    name: str
    command: str
    """Shell text; {root}: the checkout, {tree}: the copy, {dist}: the artefact, {minor}: its Python."""
    venv: str | None = None
    needs: tuple[str, ...] = ()
    in_copy: bool = True
    """Run in a fresh copy of the collection, else in the checkout."""
    slots: int = 1
    prepares: bool = False
    """No check of its own: counted only if it fails."""
    pytest: bool = False
    as_root: bool = False
    private_home: bool = True
    minutes: int = 35
    """After which it is stopped."""
    only_if: str = ""
    """A command; where that fails the step is left out."""
    otherwise: str = ""
    """Why it is left out, for people."""

    @property
    def all_needs(self) -> tuple[str, ...]:
        return self.needs + ((f"venv-{self.venv}",) if self.venv else ())


def environment(name: str) -> Step:
    command = f"{{root}}/tests/tools/env.sh venv {name}"
    return Step(f"venv-{name}", command, in_copy=False, prepares=True, private_home=False)


def ansible_test(name: str, arguments: str, venv: str, **more: bool) -> Step:
    return Step(name, f"ansible-test {arguments} --color no", venv=venv, **more)


def artefact(name: str, command: str, venv: str) -> Step:
    return Step(name, f"{command} {{dist}}/zfsops-zrep-*.tar.gz", venv=venv, needs=("build",), in_copy=False)


def system(name: str, arguments: str, env: str = "", workers: int = WORKERS, **more: Any) -> Step:
    """These load the machine with hosts of their own, so they run alone; a lab that cannot be made is a failure."""
    command = (
        f"ZFSOPS_LAB_REQUIRED=1 {env} "
        f"python -m pytest tests/system -n {workers} --dist worksteal --timeout 300 {arguments}"
    )
    return Step(
        name,
        command,
        venv="test",
        in_copy=False,
        slots=SLOTS,
        pytest=True,
        as_root=True,
        private_home=False,
        **more,
    )


# Of a test with many rows every change is checked with three; `system-slow` has to say the same to get the others.
SAMPLE = "--rows 3"

IMAGE: dict[str, Any] = {"venv": "test", "in_copy": False, "prepares": True, "as_root": True, "private_home": False}
# Guests have one processor each, and their kernels wait for nobody.
GUESTS = {"workers": SLOTS + 1, "minutes": 20}
AT_HAND = {
    "only_if": "python -m tests.lab.openzfs",
    "otherwise": "no OpenZFS lab to be had: make test-openzfs makes one",
    "needs": ("openzfs-image",),
}


LINT_DOCS = "antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs=all --skip-rstcheck ."
LINT_ANSIBLE = "ANSIBLE_COLLECTIONS_PATH={tree} ansible-lint --offline --profile production"

# From bare hosts to their end; the others need guests.
MOLECULE = " ".join(f"--scenario-name {name}" for name in ("default", "backup_server", "migrate"))
MOLECULE_GUESTS = " ".join(f"--scenario-name {name}" for name in ("openzfs", "unprivileged"))


def molecule(name: str, scenarios: str, **more: Any) -> Step:
    command = f"ANSIBLE_COLLECTIONS_PATH={{root}}/build/live molecule test {scenarios}"
    return Step(
        name, command, venv="molecule", in_copy=False, slots=SLOTS, as_root=True, private_home=False, minutes=60, **more
    )


# They start in this order as far as their needs allow: the long ones first.
STEPS = (
    environment("test"),
    environment("oldest"),
    environment("lint"),
    environment("molecule"),
    # Most of it is waiting for a mirror. Whether it was of use the steps that need it find out.
    Step("openzfs-image", "python -m tests.lab.openzfs || :", **IMAGE),
    ansible_test("sanity", "sanity --local", venv="test"),
    ansible_test("sanity-oldest", "sanity --local", venv="oldest"),
    Step("build", "ansible-galaxy collection build --force --output-path {dist}", venv="test"),
    artefact("importer", "python tests/tools/importer.py", venv="lint"),
    artefact("installed", "python tests/tools/installed.py", venv="test"),
    Step("ansible-lint", LINT_ANSIBLE, venv="lint"),
    Step("docs", LINT_DOCS, venv="lint"),
    Step("changelog", "antsibull-changelog lint", venv="lint"),
    ansible_test("units", "units --local --python {minor}", venv="test", pytest=True),
    ansible_test("units-oldest", "units --local --python {minor}", venv="oldest", pytest=True),
    Step("mypy", "mypy", venv="lint", in_copy=False),
    Step("ruff", "ruff check --output-format concise . && ruff format --check .", venv="lint", in_copy=False),
    ansible_test("units-all", "units --venv", venv="test", pytest=True),
    # The Pythons that only the oldest ansible-core supports; the others are in the step above.
    ansible_test("units-all-oldest", "units --venv --python 3.8", venv="oldest", pytest=True),
    system("system", f"{SAMPLE} -m 'not slow'"),
    system(
        "openzfs",
        f"{SAMPLE} --zfs openzfs -m '(both or needs) and not slow'",
        **GUESTS,
        **AT_HAND,
    ),
    system("openzfs-mixed", "--zfs mixed -m 'needs and not slow'", **{**GUESTS, "workers": 1}, **AT_HAND),
    system("openzfs-all", "--zfs openzfs -m 'not slow or needs'", **{**GUESTS, "minutes": 300}),
    system("system-command", "-m 'acceptance and not slow'", env="ZFSOPS_FACE=command"),
    molecule("molecule", MOLECULE),
    molecule("molecule-openzfs", MOLECULE_GUESTS, **AT_HAND),
    # pytest says 5 when there is no test of that kind.
    system("system-slow", f"{SAMPLE} -m slow || [ $? = 5 ]", minutes=180),
)

LINT = ("ruff", "mypy", "ansible-lint", "docs", "changelog")
MORE = ("sanity-oldest", "units-oldest", "units-all", "units-all-oldest", "system-command")
SLOW = (*MORE, "openzfs-mixed", "system-slow", "molecule", "molecule-openzfs")
GROUPS = {
    "lint": LINT,
    "test": tuple(step.name for step in STEPS if step.name not in (*SLOW, "openzfs-all", "venv-molecule")),
    "more": MORE,
    "openzfs-sample": ("openzfs", "openzfs-mixed"),
    "openzfs-lab": ("openzfs-all", "openzfs-mixed"),
    "slow": SLOW,
}
