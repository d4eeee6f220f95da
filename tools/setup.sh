#!/usr/bin/env bash
# Makes .venv and installs Sanderling into it, editable: tools/setup.sh [EXTRA]
# Done once: it is done again only when pyproject.toml or the place of the checkout has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extra="${1:-}"
venv=.venv
stamp="$venv/installed-${extra:-core}"

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python="$(tools/find-python.sh)"
    echo "Making $venv with $python"
    "$python" -m venv --clear "$venv"
fi
if ! "$venv/bin/python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
    echo "error: $venv holds $("$venv/bin/python" -V), expected Python 3.11 to 3.13; remove it: rm -r $venv" >&2
    exit 1
fi

key="$("$venv/bin/python" -c '
import hashlib, pathlib
print(hashlib.sha256(pathlib.Path("pyproject.toml").read_bytes()
                     + pathlib.Path("tools/constraints.txt").read_bytes() + str(pathlib.Path.cwd()).encode()).hexdigest())
')"
stamps=("$stamp")
[[ -n "$extra" ]] || stamps+=("$venv/installed-dev")  # any extra holds the core
for done in "${stamps[@]}"; do
    if [[ -f "$done" && "$(cat "$done")" == "$key" ]]; then
        exit 0
    fi
done
echo "Installing Sanderling${extra:+ with what '$extra' needs} into $venv: a minute or two, once"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check \
    --constraint tools/constraints.txt --editable ".${extra:+[$extra]}"
echo "$key" >"$stamp"
