# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab: a lab that stays up between commands, for trying things by hand."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

from . import state
from .errors import LabError
from .host import Host
from .lab import DEFAULT_POOL_SIZE, ZFS_FUSE, HostSpec, Lab
from .openzfs.image import OPENZFS
from .teardown import clean_stale, teardown

DESCRIPTION = """\
Hosts with real ZFS (zfs-fuse) on this one machine: each with its own network address, files, users,
processes, pool and sshd. Needs root; installs missing Debian packages. Nothing else of the machine is changed
but one network link, which goes with the lab."""
EXAMPLES = """\
examples:
  python3 -m tests.lab up              (host1 with pool1 and host2 with pool2, trusting each other)
  python3 -m tests.lab up --name big --host a:tank --host b.example.org:backup:systemd --pool-size 2G
  python3 -m tests.lab exec host1 zfs list
  ansible -i <(python3 -m tests.lab inventory) all -m ping
  python3 -m tests.lab cut host2 ; python3 -m tests.lab mend host2
  python3 -m tests.lab down
"""
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def main(argv: list[str] | None = None) -> int:
    """Run one command. Exit status 2 and one line on standard error if it cannot be done."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.action(arguments) or 0
    except LabError as error:
        print(f"lab: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default="lab", help="which lab (default: %(default)s)")

    def command(name: str, action: Callable[[argparse.Namespace], int | None], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, parents=[named])
        sub.set_defaults(action=action)
        return sub

    up = command("up", _up, "make a lab")
    up.add_argument(
        "--hosts", type=int, default=2, metavar="N", help="so many hosts: host1 with pool1, ... (default: 2)"
    )
    up.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME[:POOL][:systemd]",
        help="instead: a host of this name; may be repeated",
    )
    up.add_argument(
        "--pool-size",
        type=_size,
        default=DEFAULT_POOL_SIZE,
        metavar="SIZE",
        help="of each pool, with K, M or G (default: 400M); only what is written takes memory",
    )
    up.add_argument(
        "--zfs", choices=[ZFS_FUSE, OPENZFS], default=ZFS_FUSE, help="what the hosts have (default: %(default)s)"
    )
    up.add_argument("--no-trust", action="store_true", help="no ssh keys and no known hosts between the hosts")
    command("down", _down, "remove a lab")
    command("list", _list, "what labs there are, and their hosts")
    command("inventory", _inventory, "print an Ansible inventory (YAML)")
    command("ssh-config", _ssh_config, "print the path of the configuration for ssh -F")
    run = command(
        "exec",
        _exec,
        "run a command on a host as root, with exactly these arguments; its exit status is ours",
    )
    run.add_argument("host", metavar="HOST")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD...")

    def on_host(name: str, action: Callable[[Host, argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        sub = command(name, lambda arguments: action(_host(arguments, arguments.host), arguments), text)
        sub.add_argument("host", metavar="HOST")
        return sub

    cut = on_host(
        "cut",
        lambda host, arguments: host.cut(
            arguments.peer and _host(arguments, arguments.peer, host.lab), arguments.direction
        ),
        "pull a host's cable",
    )
    cut.add_argument("--peer", metavar="HOST", help="lose only what goes between the two")
    cut.add_argument("--direction", choices=["both", "in", "out"], default="both", help="with --peer (default: both)")
    on_host("mend", lambda host, _: host.mend(), "undo cuts and delays of a host")
    slow = on_host("delay", lambda host, arguments: host.delay(arguments.ms), "make a host's packets late, each way")
    slow.add_argument("ms", type=float, metavar="MS", help="milliseconds; 0 ends it")
    on_host("kill", lambda host, _: host.kill(), "power a host off, at once")
    on_host("boot", lambda host, _: host.boot(), "power a host on again")
    on_host("stop-sshd", lambda host, _: host.stop_sshd(), "refuse new ssh connections")
    on_host("start-sshd", lambda host, _: host.start_sshd(), "accept them again")
    fill = command("fill", _fill, "let a pool run out of space")
    fill.add_argument("target", metavar="POOL@HOST")
    fill.add_argument("--leave", type=_size, default=0, metavar="SIZE", help="what stays available (default: 0)")
    free = command("free", _free, "undo fill")
    free.add_argument("target", metavar="POOL@HOST")
    return parser


def _up(arguments: argparse.Namespace) -> None:
    texts = arguments.host or [f"host{n}:pool{n}" for n in range(1, arguments.hosts + 1)]
    specs = [_spec(text, arguments) for text in texts]
    lab = Lab(arguments.name)
    lab.up()
    try:
        lab.add_hosts(specs)
        lab.detach()
    except BaseException:
        lab.down()
        raise
    _show(lab)


def _down(arguments: argparse.Namespace) -> None:
    teardown(state.load(arguments.name))


def _list(_arguments: argparse.Namespace) -> None:
    for name in clean_stale():
        print(f"{name}: its processes were gone; removed what was left")
    for name in state.names():
        _show(Lab.attach(name))


def _show(lab: Lab) -> None:
    print(f"{lab.name}: ssh -F {lab.ssh_config} HOST")
    for host in lab.hosts.values():
        words = [host.name, host.address, host.state.pool or "-", "up" if host.running else "down"]
        print(
            "  "
            + " ".join(
                [
                    *words,
                    *(["systemd"] if host.state.systemd else []),
                    *([] if host.state.trust else ["no-trust"]),
                ]
            )
        )


def _inventory(arguments: argparse.Namespace) -> None:
    print(Lab.attach(arguments.name).inventory_path.read_text(encoding="ascii"), end="")


def _ssh_config(arguments: argparse.Namespace) -> None:
    print(Lab.attach(arguments.name).ssh_config)


def _exec(arguments: argparse.Namespace) -> int:
    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    if not argv:
        raise LabError("exec: which command?")
    # In our own session and process group: the terminal and its Ctrl-C are the command's.
    with _host(arguments, arguments.host).popen(argv, start_new_session=False) as process:
        status = process.wait()
    return status if status >= 0 else 128 - status


def _fill(arguments: argparse.Namespace) -> None:
    pool, host = _target(arguments)
    host.fill_pool(pool, arguments.leave)


def _free(arguments: argparse.Namespace) -> None:
    pool, host = _target(arguments)
    host.free_pool(pool)


def _target(arguments: argparse.Namespace) -> tuple[str, Host]:
    pool, _at, host = arguments.target.partition("@")
    if not pool or not host:
        raise LabError(f"{arguments.target!r}: POOL@HOST is meant")
    return pool, _host(arguments, host)


def _host(arguments: argparse.Namespace, name: str, lab: Lab | None = None) -> Host:
    lab = lab or Lab.attach(arguments.name)
    if name not in lab.hosts:
        raise LabError(f"lab {lab.name} has no host {name}; it has {', '.join(lab.hosts)}")
    return lab.hosts[name]


def _spec(text: str, arguments: argparse.Namespace) -> HostSpec:
    name, *rest = text.split(":")
    systemd = rest[-1:] == ["systemd"]
    pools = rest[:-1] if systemd else rest
    if not name or len(pools) > 1 or "" in pools:
        raise LabError(f"{text!r}: NAME[:POOL][:systemd] is meant")
    pool = pools[0] if pools else None
    return HostSpec(name, pool, arguments.pool_size, systemd, not arguments.no_trust, arguments.zfs)


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 400M")
    return int(match[1]) * UNITS[match[2]]
