#!/usr/bin/env bash
# Provides what the tests use beyond Python. As root on Debian and Ubuntu it installs what is missing; else
# it says in one line what is missing and what will be skipped. With CI set, something missing is an error.
set -euo pipefail

if command -v chromium >/dev/null; then
    exit 0
fi
skipped="missing: chromium, so the tests of pages in a browser will be skipped"
if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "$skipped; to have them: install your system's chromium package"
elif (
    export DEBIAN_FRONTEND=noninteractive
    echo "Installing chromium, which the tests use"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null
) && command -v chromium >/dev/null; then
    exit 0
else
    echo "$skipped: apt-get could not install it (see above)" >&2
fi
[[ -z "${CI:-}" ]] || { echo "error: CI runs every test, and chromium is missing" >&2; exit 1; }
