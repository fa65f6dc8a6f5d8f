#!/bin/sh
# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Stands before a host's zfs and zpool while they are traced or intercepted (trace.py), and becomes the real one.
# Must stay quick: it runs for every zfs process.
program=${0##*/}
real=/run/lab/real/$program
if [ -d /run/lab/trace ]; then
    # A file for each process, so that arguments of any length and content never mix; the order is one short append.
    printf '%s\0' "$program" "$@" >"/run/lab/trace/$$"
    echo $$ >>/run/lab/trace/order
fi
lab_when=''
# The hook sets lab_when to before or after and defines lab_action, if its turn has come.
if [ -r /run/lab/hook ]; then
    # shellcheck source=/dev/null
    . /run/lab/hook
fi
case $lab_when in
    before) lab_action "$@" ;;
    after)
        "$real" "$@"
        status=$?
        lab_action "$@"
        exit $status
        ;;
esac
exec "$real" "$@"
