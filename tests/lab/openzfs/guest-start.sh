# shellcheck shell=sh
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Becomes the kernel of a guest. Started by guest.py in fresh mount and pid namespaces of the lab:
#
#     sh guest-start.sh DIRECTORY LOWER LINUX PARAMETER...
#
# DIRECTORY holds upper/ and work/ (the guest's own files over LOWER, a root file system), root/ (an empty mount point)
# and disks/. Says its pid, as the machine counts, on standard output; the console goes to DIRECTORY/console.log.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
dir=$1 lower=$2 linux=$3
shift 3

read -r pid _ </proc/self/stat
echo "$pid"
exec </dev/null >>"$dir/console.log" 2>&1
mount -t overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work,xino=off" lab "$dir/root"
# Its own process numbers, which the kernel's helpers are looked up by.
mount -t proc proc /proc
exec "$linux" root=/dev/root rootfstype=hostfs "rootflags=$dir/root" rw init=/run-lab/init \
    con=null con0=null,fd:1 quiet "umid=lab" "uml_dir=$dir/uml/" "$@"
