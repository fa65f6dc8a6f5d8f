# shellcheck shell=sh
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The first process of a lab host. Started by host.py in fresh mount, uts, ipc, net and pid namespaces:
#
#     sh host-init.sh DIRECTORY NAME plain|systemd
#
# DIRECTORY holds upper/ and work/ (the host's own files over the machine's), root/ (an empty mount point) and
# disks/ (the files that its pools are made of). Says its pid, as the machine counts, on standard output; everything
# after that goes to DIRECTORY/console.log. Any failure ends it, and with it the host.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
dir=$1 name=$2 mode=$3

# /proc is still the machine's: this is the pid by which the controller can enter and end the host.
read -r pid _ </proc/self/stat
echo "$pid"
exec </dev/null >>"$dir/console.log" 2>&1

root=$dir/root
mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" lab "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$root/tmp"
mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/lock" "$root/run/zfs" "$root/run/sshd" "$root/run/lab" \
    "$root/run/lab/real" "$root/run/lab/disks"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
(
    umask 000
    cd "$root/dev"
    mknod -m 666 null c 1 3
    mknod -m 666 zero c 1 5
    mknod -m 666 full c 1 7
    mknod -m 666 random c 1 8
    mknod -m 666 urandom c 1 9
    mknod -m 666 tty c 5 0
    mknod -m 666 fuse c 10 229
    ln -s pts/ptmx ptmx
    ln -s /proc/self/fd fd
    ln -s fd/0 stdin
    ln -s fd/1 stdout
    ln -s fd/2 stderr
)
mkdir -p "$root/var/lock" "$root/var/run" 2>/dev/null || :
mkdir -p "$root/run/lock/zfs"
# The pools' files keep one place whatever the lab is called: zpool.cache names them by path.
mkdir -p "$root/disks"
mount --bind "$dir/disks" "$root/disks"
# The real commands, for the time that a wrapper is mounted over them (trace.py).
mount --bind "$root/usr/sbin" "$root/run/lab/real"
# System request keys are not confined to a namespace: a host must not be able to reset the machine.
if [ -e "$root/proc/sysrq-trigger" ]; then
    mount --bind "$root/proc/sysrq-trigger" "$root/proc/sysrq-trigger"
    mount -o remount,bind,ro "$root/proc/sysrq-trigger"
fi
if [ "$mode" = systemd ]; then
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
fi
echo "$name" >"$root/proc/sys/kernel/hostname"

# Make the overlay the root, and let go of everything of the machine's.
cd "$root"
pivot_root . .
umount -l .
cd /

if [ "$mode" = systemd ]; then
    exec env -i PATH="$PATH" container=lab /lib/systemd/systemd --system --unit=multi-user.target
fi
/sbin/zfs-fuse -n --no-kstat-mount >/run/lab/zfs-fuse.log 2>&1 &
/usr/sbin/sshd -D -E /run/lab/sshd.log &
sleep infinity &
echo $! >/run/lab/sleep.pid
# As process 1 this shell adopts every orphan; waiting is what reaps them.
while :; do wait; done
