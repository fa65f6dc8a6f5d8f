# Copyright (c) 2026, the zfsops.zrep authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``zrep completion`` prints: completion for bash, from the same words that the command understands. Pure."""

from __future__ import annotations

import typing as t

from .vocabulary import GLOBAL, VERBS, Option, Verb

# What the shell can offer for a word.
EVERYTHING, REGISTERED, HOSTS = "everything", "registered", "hosts"
DIRECTORIES, FILES, VERB_NAMES, NEWEST, NOTHING = "directories", "files", "verbs", "newest", "nothing"

_VALUES = {"DATASET": EVERYTHING, "DIRECTORY": DIRECTORIES}
_OPERANDS = {
    "init": (EVERYTHING, HOSTS, NOTHING),
    "changeconfig": (EVERYTHING, HOSTS, NOTHING),
    "failover": (REGISTERED, HOSTS),
    "takeover": (REGISTERED, HOSTS),
    "drill": (REGISTERED, FILES),
    "help": (VERB_NAMES,),
}
"""What the operands of a verb are, where that is not filesystems that are registered; the last holds for the rest."""


def script() -> str:
    """The functions for bash."""
    shown = {name: verb for name, verb in VERBS.items() if not verb.hidden}
    return _SCRIPT.format(
        verbs=" ".join(shown),
        names="\n".join(_case("|".join((name, *verb.aliases)), name) for name, verb in shown.items()),
        flags="\n".join(_case(name, " ".join(_dashed(verb.options))) for name, verb in shown.items()),
        always=" ".join(_dashed(GLOBAL)),
        values="\n".join(_case(where, what) for where, what in _values(shown)),
        operands="\n".join(_case(where, what) for where, what in _operands(shown)),
    )


def _case(pattern: str, said: str) -> str:
    return f"        {pattern}) echo '{said}' ;;"


def _dashed(options: t.Mapping[str, Option]) -> list[str]:
    return [f"-{name}" if len(name) == 1 else f"--{name}" for name in options]


def _values(shown: t.Mapping[str, Verb]) -> t.Iterator[tuple[str, str]]:
    """For each flag that takes a value, what it can be."""
    for name, verb in shown.items():
        for flag, option in verb.options.items():
            if option.value:
                kind = NEWEST if flag == "adopt" else _VALUES.get(option.value, NOTHING)
                yield f"{name}:-{flag}" if len(flag) == 1 else f"{name}:--{flag}", kind


def _operands(shown: t.Mapping[str, Verb]) -> t.Iterator[tuple[str, str]]:
    """For each verb and position, what the operand can be."""
    for name, verb in shown.items():
        if verb.most != 0:
            kinds = _OPERANDS.get(name, (REGISTERED,))
            more = " all" if "| all" in verb.operands else ""
            for position, kind in enumerate(kinds[:-1], 1):
                yield f"{name}:{position}", kind + more
            yield f"{name}:*", kinds[-1] + more


_SCRIPT = """\
# Completion of the zrep command for bash. Made by: zrep completion

_zrep_name() {{
    case $1 in
{names}
    esac
}}

_zrep_flags() {{
    case $1 in
{flags}
    esac
    echo '{always}'
}}

_zrep_value() {{
    case $1 in
{values}
    esac
}}

_zrep_operand() {{
    case $1 in
{operands}
    esac
}}

# The words of a kind, of which each begins with what was typed.
_zrep_offer() {{
    local kind typed=$1
    shift
    for kind; do
        case $kind in
            registered)
                if [[ $typed == *@* ]]; then _zrep_snapshots "$typed"; else
                    compgen -W "$(command zrep ${{tag:+-t "$tag"}} list 2>/dev/null)" -- "$typed"
                fi ;;
            everything) compgen -W "$(command zfs list -H -o name -t filesystem,volume 2>/dev/null)" -- "$typed" ;;
            directories) compgen -d -- "$typed" ;;
            files) compgen -c -- "$typed"; compgen -f -- "$typed" ;;
            hosts) compgen -A hostname -- "$typed" ;;
            verbs) compgen -W '{verbs}' -- "$typed" ;;
            all|newest) compgen -W "$kind" -- "$typed" ;;
        esac
    done
}}

_zrep_snapshots() {{
    compgen -W "$(command zfs list -H -o name -t snapshot -r -d 1 "${{1%%@*}}" 2>/dev/null)" -- "$1"
}}

_zrep() {{
    local words=() word typed verb='' tag='' flag='' only='' count=0 index joined='' i

    # bash takes @ and : for ends of words, but a snapshot is one word.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        index=${{#words[@]}}
        if ((index > 0)) && [[ -n $joined || $word == [@:=] ]]; then
            words[index - 1]+=$word
        else
            words[index]=$word
        fi
        joined=''
        if [[ $word == [@:=] ]]; then joined=yes; fi
    done
    typed=${{words[-1]}}
    unset 'words[-1]'

    for word in "${{words[@]}}"; do
        if [[ -n $flag ]]; then
            if [[ $flag == -t ]]; then tag=$word; fi
            flag=''
        elif [[ -n $only ]]; then
            ((++count))
        elif [[ $word == -t ]]; then
            flag=$word
        elif [[ -z $verb ]]; then
            verb=$(_zrep_name "$word")
        elif [[ $word == -- ]]; then
            only=yes
        elif [[ -n $(_zrep_value "$verb:$word") ]]; then
            flag=$word
        elif [[ $word != -* ]]; then
            ((++count))
        fi
    done

    COMPREPLY=()
    if [[ -n $flag ]]; then
        mapfile -t COMPREPLY < <(_zrep_offer "$typed" $(_zrep_value "$verb:$flag"))
    elif [[ -z $only && $typed == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_zrep_flags "$verb")" -- "$typed")
    elif [[ -z $verb ]]; then
        mapfile -t COMPREPLY < <(_zrep_offer "$typed" verbs)
    else
        mapfile -t COMPREPLY < <(_zrep_offer "$typed" $(_zrep_operand "$verb:$((count + 1))"))
    fi

    # What is found comes in the place of what bash takes for the last word ($2), with what was typed before it.
    word=${{typed%"$2"}}
    for i in "${{!COMPREPLY[@]}}"; do
        COMPREPLY[i]=${{COMPREPLY[i]#"$word"}}
    done
}}

complete -F _zrep zrep
"""
