#!/usr/bin/env bash
# Writes the newest versions that pyproject.toml allows into constraints.txt; those of other platforms stay as they are.
#     scripts/update.sh
set -euo pipefail
cd "$(dirname "$0")/.."
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
"${PYTHON:-python3}" -m venv "$trial"
"$trial/bin/python" -m pip install --quiet --upgrade ".[dev,gguf-check]"
{
  sed -n '/^#/!q;p' constraints.txt
  "$trial/bin/python" -m pip freeze --exclude mqlora-tui
  sed -n '/^# For other platforms/,$p' constraints.txt
} > "$trial/constraints.txt"
mv "$trial/constraints.txt" constraints.txt
git --no-pager diff --stat constraints.txt
