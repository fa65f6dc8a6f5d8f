#!/bin/sh
# shellcheck shell=sh
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The first process of a guest. lab_name, lab_address, lab_control, lab_disks and lab_mode (plain or systemd) are parameters
# of the kernel.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
[ -e /dev/stdin ] || { ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr; }
mkdir -p /run/sshd /run/lock /run/lab/real /disks
mount --bind /usr/sbin /run/lab/real
mount -t hostfs -o "$lab_disks" none /disks
export OPENSSL_ia32cap='~0x1000000000000000:~0x20'
echo "SetEnv GLIBC_TUNABLES=$GLIBC_TUNABLES OPENSSL_ia32cap=$OPENSSL_ia32cap" >/etc/ssh/sshd_config.d/registers.conf
hostname "$lab_name"
# What waits for a peer that is gone gives up as it does on the machine's other hosts.
ip link set lo up
ip link set vec0 name eth0
ip link set eth0 up
ip addr add "$lab_address/24" dev eth0
ip link set vec1 name control
ip link set control up
ip addr add "$lab_control/30" dev control
insmod /run-lab/spl.ko
insmod /run-lab/zfs.ko
tries=0
while [ ! -e /dev/zfs ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
# As the rule of udev has it that comes with OpenZFS: what a user may do is for zfs allow to say.
chmod 666 /dev/zfs
zpool import -d /disks -a -f >/run/lab/import.log 2>&1
if [ "$lab_mode" = systemd ]; then
    # What every process has to have in its environment, and what the agent's unit is told.
    mkdir -p /run/systemd/system.conf.d
    printf '[Manager]\nDefaultEnvironment="%s" "%s"\n' "GLIBC_TUNABLES=$GLIBC_TUNABLES" \
        "OPENSSL_ia32cap=$OPENSSL_ia32cap" >/run/systemd/system.conf.d/lab.conf
    echo "lab_control=$lab_control" >/run/lab/agent.env
    exec env -i PATH="$PATH" GLIBC_TUNABLES="$GLIBC_TUNABLES" OPENSSL_ia32cap="$OPENSSL_ia32cap" container=lab \
        /lib/systemd/systemd --system --unit=multi-user.target
fi
/usr/sbin/sshd -E /run/lab/sshd.log
python3 -IS /run-lab/agent.py "$lab_control" 1 >/run/lab/agent.log 2>&1 &
echo $! >/run/lab/agent.pid
# As process 1 this shell adopts every orphan; waiting is what reaps them. It must never end: that is a panic.
while :; do sleep 3600 & wait; done
