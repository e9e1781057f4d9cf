#!/usr/bin/env bash
# Installs the Debian packages of a list (requirements/debian.txt, or the one given) that are missing, where that is
# possible (root, apt-get). Elsewhere it says which are missing and goes on: the tests that need them say so themselves.
set -euo pipefail

list="${1:-$(dirname "$0")/../requirements/debian.txt}"

if ! command -v dpkg-query >/dev/null; then
    echo "system packages: not a Debian system; needed are the programs of requirements/$(basename "$list")"
    exit 0
fi

missing=()
while read -r package; do
    status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
    [ "$status" = installed ] || missing+=("$package")
done < <(sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$list")

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "system packages: missing ${missing[*]}; install them as root: apt-get install ${missing[*]}"
    exit 0
fi

echo "system packages: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
    echo "system packages: could not install ${missing[*]}; going on without"
fi
