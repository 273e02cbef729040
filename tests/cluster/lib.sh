# shellcheck shell=bash
# What every script here shares: where things are, and how they speak.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$HERE/../.." && pwd)
# Everything that is built or kept lies in here; git ignores it.
CLUSTER_DIR=$(realpath -m "${CLUSTER_DIR:-$REPO/.cluster}")
BIN=$CLUSTER_DIR/bin
PKI=$CLUSTER_DIR/pki
RUN=$CLUSTER_DIR/run
IMAGES=$CLUSTER_DIR/images
# The node's address, on a bridge in a network namespace of its own: it clashes with nothing outside.
NODE_IP=172.30.0.1
export HERE REPO CLUSTER_DIR BIN PKI RUN IMAGES NODE_IP

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

need_root() { [ "$(id -u)" = 0 ] || die "the local cluster needs root: run it as root, or give CONTEXT=<a kubeconfig context>"; }

# step NAME CMD...: runs quietly, says how long it took; its output only when it failed.
step() {
  local name=$1 log started
  shift
  log=$(mktemp)
  started=$SECONDS
  printf '  %-34s ' "$name" >&2
  if "$@" >"$log" 2>&1; then
    say "$((SECONDS - started)) s"
    rm -f "$log"
  else
    say "failed"
    tail -n 40 "$log" >&2
    die "$name failed; the whole output is in $log"
  fi
}

# debian PACKAGE...: installs what is missing, without starting any service.
debian() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  local command="apt-get install --no-install-recommends -y ${missing[*]}"
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || die "missing programs; install them: $command"
  say "Debian packages: ${missing[*]}"
  step "apt-get update" apt-get update
  step "apt-get install" without_services env DEBIAN_FRONTEND=noninteractive $command
}

# A package's own service must not start here: invoke-rc.d asks policy-rc.d, and 101 means no.
without_services() {
  local policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] && { "$@"; return; }
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  local status=0
  "$@" || status=$?
  rm -f "$policy"
  return "$status"
}
