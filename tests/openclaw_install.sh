#!/usr/bin/env bash
# Installs the OpenClaw that the tests are written for, and the Node that it needs.
#
#   tests/openclaw_install.sh [DIR]      DIR: default .cache at the top of the repository
#
# About 0.9 GB and a minute; says nothing and does nothing where both are there.  Each half is
# installed beside its place and moved there when it is whole: an interrupted call leaves
# nothing that a later call could take for an installation.
set -euo pipefail

node_version=24.21.0
openclaw_version=2026.9.6
dir=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.cache}

# present NAME PACKAGE VERSION: is that version of the package installed in DIR/NAME?
present() {
  grep -qs "\"version\": \"$3\"" "$dir/$1/node_modules/$2/package.json"
}

# install NAME PACKAGE VERSION
install() {
  local new
  present "$@" && return
  echo "installing $2 $3 in $dir/$1 (once; this takes a minute)" >&2
  mkdir -p "$dir"
  new=$(mktemp -d "$dir/$1.XXXXXX")
  # shellcheck disable=SC2064  # the name as it is now
  trap "rm -rf '$new'" EXIT
  echo '{"private": true}' >"$new/package.json"
  npm --prefix "$new" install --silent --no-audit --no-fund "$2@$3" >&2
  chmod 755 "$new" # mktemp made it private
  rm -rf "${dir:?}/$1"
  mv "$new" "$dir/$1"
  trap - EXIT
}

install node node "$node_version"
PATH=$dir/node/node_modules/.bin:$PATH # OpenClaw's own install scripts want the new Node
install openclaw openclaw "$openclaw_version"
