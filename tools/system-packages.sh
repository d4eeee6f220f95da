#!/usr/bin/env bash
# Provides what the tests use beyond Python. As root on Debian and Ubuntu it installs what is missing; else
# it says in one line each what is missing and what will be skipped. With CI set, something missing is an error.
set -euo pipefail

# A Vulkan driver that needs no GPU (lavapipe). The loader looks for its description in these folders.
has_vulkan() {
    [[ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]] && return 0
    compgen -G "/usr/share/vulkan/icd.d/*.json" >/dev/null || compgen -G "/etc/vulkan/icd.d/*.json" >/dev/null
}
has_chromium() { command -v chromium >/dev/null; }
has_sshd() { command -v ssh >/dev/null && { command -v sshd >/dev/null || [[ -x /usr/sbin/sshd ]]; }; }
has_postgresql() { command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; }

missing=()
has_chromium || missing+=(chromium)
has_sshd || missing+=(openssh-server openssh-client)
has_postgresql || missing+=(postgresql)
# macOS and Windows bring Metal and Direct3D along.
[[ "$(uname -s)" != Linux ]] || has_vulkan || missing+=(mesa-vulkan-drivers)
((${#missing[@]})) || exit 0

if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
    echo "Installing ${missing[*]}, which the tests use"
    (
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    ) || echo "apt-get could not install ${missing[*]} (see above)" >&2
fi

failed=0
need() { # need TEST PACKAGE WHAT
    "$1" && return 0
    echo "missing: $2, so $3 will be skipped; to have them: install your system's $2 package" >&2
    failed=1
}
need has_chromium chromium "the tests of pages in a browser"
need has_sshd openssh-server "the tests of devices reached by ssh"
need has_postgresql postgresql "the tests of studies in PostgreSQL"
[[ "$(uname -s)" != Linux ]] || need has_vulkan mesa-vulkan-drivers "the tests on the GPU engine"
if ((failed)) && [[ -n "${CI:-}" ]]; then
    echo "error: CI runs every test" >&2
    exit 1
fi
