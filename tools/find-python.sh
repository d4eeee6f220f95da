#!/usr/bin/env bash
# Prints the first Python 3.11 to 3.13 that can make a virtual environment. PYTHON names one instead.
set -euo pipefail

suitable='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

if [[ -n "${PYTHON:-}" ]]; then
    candidates=("$PYTHON")
else
    candidates=(python3.11 python3.12 python3.13 python3 python)
fi
for python in "${candidates[@]}"; do
    # Being on the PATH is not enough: version managers put commands there that only print an error.
    if "$python" -c "$suitable" >/dev/null 2>&1; then
        command -v "$python"
        exit
    fi
done
echo "error: no Python 3.11 to 3.13 with the venv module was found (tried: ${candidates[*]});" \
    "install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3" >&2
exit 1
