# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: a bridge in a namespace of its own, one cable to each host, one to the controller.

The only thing of the machine that it touches is one link, zlabN, with an address in 198.18.N.0/24 (a range
set aside for measuring networks). The name of the link is the claim on the subnet: the kernel gives it to one
lab only.
"""

from __future__ import annotations

import ipaddress
import json
import random
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import LabError
from .processes import run

BLOCK = ipaddress.ip_network("198.18.0.0/15")
CONTROLLER = 254  # the last number of the controller's address; hosts count from 1
MAX_HOSTS = CONTROLLER - 1

# The programs of slow links that this process started: kept so that their ends are collected.
_carriers: list[subprocess.Popen] = []


def subnet(number: int) -> ipaddress.IPv4Network:
    """The network of lab ``number``."""
    return ipaddress.IPv4Network((int(BLOCK.network_address) + 256 * number, 24))


def link_name(number: int) -> str:
    """The controller's end of the cable into the lab."""
    return f"zlab{number}"


def address(number: int, index: int) -> str:
    """Address of host ``index`` (or CONTROLLER) of lab ``number``."""
    return str(subnet(number).network_address + index)


def claim(holder: int) -> int:
    """Take a free subnet and join this machine to the lab's bridge in the namespace of pid ``holder``."""
    taken = _routed_networks()
    candidates = [n for n in range(BLOCK.num_addresses // 256) if not any(subnet(n).overlaps(t) for t in taken)]
    random.shuffle(candidates)  # two labs that start together seldom ask for the same
    for number in candidates:
        link = link_name(number)
        result = run(
            ["ip", "link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", str(holder)],
            check=False,
        )
        if result.returncode == 0:
            break
        if "File exists" not in result.stderr:
            raise LabError(f"cannot make a network link: {result.stderr.strip()}")
    else:
        raise LabError(f"no free subnet in {BLOCK}")
    _ip([f"addr add {address(number, CONTROLLER)}/24 dev {link}", f"link set {link} up"])
    _ip(
        [
            "link add br0 type bridge",
            "link set lo up",
            "link set br0 up",
            "link set uplink master br0",
            "link set uplink up",
        ],
        holder,
    )
    return number


def release(number: int) -> None:
    """Remove the machine's end of the cable, if it is there."""
    run(["ip", "link", "del", link_name(number)], check=False)


def control_address(index: int, end: int) -> str:
    """An address on the line to the guest with this number: 1 is the lab's end, 2 the guest's."""
    return str(ipaddress.IPv4Address("169.254.0.0") + 4 * index + end)


def plug_taps(holder: int, number: int, index: int) -> str:
    """Make the two network devices that a guest's kernel opens; returns the address of its card on the bridge."""
    net = subnet(number).network_address.packed
    _ip(
        [
            f"tuntap add dev h{index} mode tap",
            f"link set h{index} master br0",
            f"link set h{index} up",
            f"tuntap add dev c{index} mode tap",
            f"addr add {control_address(index, 1)}/30 dev c{index}",
            f"link set c{index} up",
        ],
        holder,
    )
    return f"02:5a:{net[1]:02x}:{net[2]:02x}:00:{index:02x}"


def plug(holder: int, number: int, index: int, init: int) -> None:
    """Give the host whose first process is ``init`` its eth0 on the bridge."""
    net = subnet(number).network_address.packed
    # The address of the card stays the same over a reboot: peers need not forget anything.
    mac = f"02:5a:{net[1]:02x}:{net[2]:02x}:00:{index:02x}"
    _ip(
        [
            f"link add h{index} type veth peer name eth0 address {mac} netns {init}",
            f"link set h{index} master br0",
            f"link set h{index} up",
        ],
        holder,
    )
    _ip(["link set lo up", f"addr add {address(number, index)}/24 dev eth0", "link set eth0 up"], init)


def unplug(holder: int, index: int) -> None:
    """Remove a host's cable, if it is there."""
    _remove_slow_link(holder, index)
    for name in (f"h{index}", f"c{index}"):
        run(["nsenter", "-t", str(holder), "-n", "ip", "link", "del", name], check=False)


def set_link(holder: int, index: int, up: bool) -> None:
    """Pull the host's cable out of the bridge's socket, or put it back."""
    _ip([f"link set h{index} {'up' if up else 'down'}"], holder)


def set_socket(holder: int, index: int, plugged: bool) -> None:
    """The same for a guest, whose driver takes it ill if the device that it has open goes down."""
    _ip([f"link set h{index} {'master br0' if plugged else 'nomaster'}"], holder)


def block(init: int, source: str) -> None:
    """Have the host of ``init`` drop every packet that comes from address ``source``. Needs iptables."""
    run(["nsenter", "-t", str(init), "-n", "iptables", "-w", "-I", "INPUT", "-s", source, "-j", "DROP"])


def unblock(init: int, source: str) -> None:
    """Undo every ``block`` of this source."""
    command = ["nsenter", "-t", str(init), "-n", "iptables", "-w", "-D", "INPUT", "-s", source, "-j", "DROP"]
    while run(command, check=False).returncode == 0:
        pass


def delay(holder: int, index: int, milliseconds: float) -> None:
    """Have every packet to and from the host take so much longer each way; 0 ends it.

    The kernel's netem does this only in newer builds and with one more package; a small program that carries
    the frames between two links (slowlink.py) does it everywhere.
    """
    _remove_slow_link(holder, index)
    if milliseconds <= 0:
        return
    _ip(
        [
            f"link add s{index}a type veth peer name s{index}b",
            f"link set s{index}b master br0",
            f"link set s{index}b up",
            f"link set s{index}a up",
            f"link set h{index} nomaster",
        ],
        holder,
    )
    script = str(Path(__file__).with_name("slowlink.py"))
    # In the lab's pid namespace too: it ends with the lab, whatever happens to us.
    process = subprocess.Popen(
        [
            "nsenter",
            "-t",
            str(holder),
            "-n",
            "-p",
            sys.executable,
            "-I",
            script,
            f"h{index}",
            f"s{index}a",
            str(milliseconds),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _carriers.append(process)
    assert process.stdout is not None
    with process.stdout:
        if process.stdout.readline() != b"ready\n":
            raise LabError("the program that delays packets did not start (packet sockets not allowed?)")


def _remove_slow_link(holder: int, index: int) -> None:
    """The program ends by itself when its link goes."""
    _carriers[:] = [process for process in _carriers if process.poll() is None]
    gone = run(["nsenter", "-t", str(holder), "-n", "ip", "link", "del", f"s{index}a"], check=False)
    if gone.returncode == 0:
        _ip([f"link set h{index} master br0"], holder)


def _ip(lines: Iterable[str], namespace_of: int | None = None) -> None:
    """Run ip commands in one process, in the network namespace of a pid or the machine's."""
    enter = [] if namespace_of is None else ["nsenter", "-t", str(namespace_of), "-n"]
    run([*enter, "ip", "-batch", "-"], input="\n".join(lines) + "\n")


def _routed_networks() -> list[ipaddress.IPv4Network]:
    """Every network that this machine has a route or an address for, the default route aside."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout or "[]")
    found = []
    for route in routes:
        try:
            network = ipaddress.IPv4Network(route["dst"], strict=False)
        except (KeyError, ValueError):
            continue
        if network.prefixlen > 0:
            found.append(network)
    return found
