#!/usr/bin/env bash
# Every test, in three streams beside each other: most of them wait for processes or a Gateway.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
bin=.venv/bin

"$bin/python" -m pytest -m openclaw >.cache/tests-openclaw.log 2>&1 &
openclaw=$!
"$bin/python" -m pytest -m "slow and not openclaw" >.cache/tests-slow.log 2>&1 &
slow=$!
"$bin/python" -m pytest -m "not slow and not openclaw"
failed=$?

for stream in slow openclaw; do
	wait "${!stream}" || failed=1
	cat ".cache/tests-$stream.log"
done
exit "$failed"
