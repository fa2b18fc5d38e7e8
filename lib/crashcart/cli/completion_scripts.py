"""The scripts that hook completion into a shell: ``eval "$(crashcart --print-completion-script bash)"``.

Each asks ``crashcart --complete`` and acts on its exit status: 0 the lines are the candidates, 1 complete file names,
3 this is not a checkout of ours, so that ``inv`` goes on completing other projects by itself.
"""

from __future__ import annotations

from crashcart.errors import BadInput, nearest

BASH = r"""# Completion of crashcart, inv and invoke for bash.
_crashcart_complete() {
    local IFS=$'\n' found
    found="$(crashcart --complete bash "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)"
    case $? in
        0) ;;
        1) compopt -o default 2>/dev/null; COMPREPLY=(); return ;;
        *) [ "$1" = crashcart ] || found="$(compgen -W "$("$1" --complete -- "${COMP_WORDS[@]}" 2>/dev/null)" -- "$2")" ;;
    esac
    set -f
    COMPREPLY=($found)
    set +f
}
complete -F _crashcart_complete crashcart inv invoke
"""

ZSH = r"""# Completion of crashcart, inv and invoke for zsh; compinit must have been run.
_crashcart_complete() {
    local found line
    local -a values shown
    found="$(crashcart --complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null)"
    case $? in
        0) ;;
        1) _files; return ;;
        *) [[ $words[1] == crashcart ]] || found="$("$words[1]" --complete -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)" ;;
    esac
    for line in "${(@f)found}"; do
        [[ -n $line ]] || continue
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    (( $#values )) && compadd -l -d shown -a values
}
compdef _crashcart_complete crashcart inv invoke
"""

FISH = r"""# Completion of crashcart, inv and invoke for fish.
function __crashcart_complete
    set -l words (commandline -opc)
    set -l found (crashcart --complete fish $words (commandline -ct) 2>/dev/null)
    switch $status
        case 0
            printf '%s\n' $found
        case 1
            __fish_complete_path (commandline -ct)
        case '*'
            test "$words[1]" = crashcart; or $words[1] --complete -- $words (commandline -ct) 2>/dev/null
    end
end
for program in crashcart inv invoke
    complete -c $program -f -a '(__crashcart_complete)'
end
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion_script(shell: str) -> str:
    """Return the script for a shell. Raises ``BadInput`` for one that is unknown."""
    if shell in SCRIPTS:
        return SCRIPTS[shell]
    hint = nearest(shell, SCRIPTS) or f"known are {', '.join(SCRIPTS)}"
    raise BadInput(f"--print-completion-script: there is no completion for {shell!r}", hint=hint)
