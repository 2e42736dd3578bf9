#!/usr/bin/env bash
# What needs no processes and takes no seconds, in two streams beside each other.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
quick=(.venv/bin/python -m pytest -m "not slow and not openclaw")
lower=(tests/supervisor tests/storage)

"${quick[@]}" "${lower[@]}" >.cache/tests-lower.log 2>&1 &
"${quick[@]}" tests "${lower[@]/#/--ignore=}"
failed=$?
wait $! || failed=1
cat .cache/tests-lower.log
exit "$failed"
