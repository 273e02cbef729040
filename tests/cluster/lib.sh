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
# Pods' control groups lie below one that no other cluster of this machine uses: a kubelet ends what it does not know.
CGROUP=cluster-$(printf '%s' "$CLUSTER_DIR" | cksum | cut -d' ' -f1)
export HERE REPO CLUSTER_DIR BIN PKI RUN IMAGES NODE_IP CGROUP

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

need_root() { [ "$(id -u)" = 0 ] || die "the local cluster needs root: run it as root, or give CONTEXT=<a kubeconfig context>"; }

need_go() {
  local need have
  command -v go >/dev/null || die "Go is missing: install Go 1.26 or newer, see https://go.dev/doc/install"
  need=$(sed -n 's/^go //p' "$HERE/parts/go.mod")
  have=$(GOTOOLCHAIN=local go env GOVERSION)
  have=${have#go}
  [ "$(printf '%s\n' "$need" "$have" | sort -V | head -n 1)" = "$need" ] || die "Go $have is too old: install Go $need or newer, see https://go.dev/doc/install"
}

# built MODULE NAME PACKAGE BIN: a program of another project, at the version that the Go module in the folder MODULE names,
# as BIN/NAME; again only when that changed. A go.mod for each: their Kubernetes packages are years apart.
built() {
  local module=$1 name=$2 package=$3 bin=$4 stamp
  stamp=$(cat "$module"/go.{mod,sum} | sha256sum | cut -d' ' -f1)
  [ -x "$bin/$name" ] && [ "$(cat "$bin/.$name" 2>/dev/null)" = "$stamp" ] && return
  need_go
  mkdir -p "$bin"
  step "$name" env -C "$module" CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local \
    go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$bin/$name" "$package"
  echo "$stamp" >"$bin/.$name"
}

# built_in_place NAME MODULE VERSION BIN PART...: the programs ./cmd/PART of another project as BIN/NAME-PART, built inside its own module with
# its own versions of everything; sets SOURCE to where that is.
built_in_place() {
  local name=$1 module=$2 version=$3 bin=$4 part told missing=
  shift 4
  need_go
  told=$(GOTOOLCHAIN=local go mod download -json "$module@$version") || die "cannot download $module@$version: $told"
  SOURCE=$(sed -n 's/.*"Dir": "\(.*\)".*/\1/p' <<<"$told")
  for part in "$@"; do [ -x "$bin/$name-$part" ] || missing=1; done
  [ -z "$missing" ] && [ "$(cat "$bin/.$name" 2>/dev/null)" = "$version" ] && return
  mkdir -p "$bin"
  say "Building $name $version (ten minutes the first time)"
  for part in "$@"; do
    step "$name-$part" env -C "$SOURCE" CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local \
      go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$bin/$name-$part" "./cmd/$part"
  done
  echo "$version" >"$bin/.$name"
}

# step NAME CMD...: runs quietly, says how long it took; its output only when it failed.
step() {
  local name=$1 log started=$SECONDS ticker='' status
  shift
  log=$(mktemp)
  printf '  %-42s ' "$name" >&2
  if [ -t 2 ]; then
    tick "$name" &
    ticker=$!
  fi
  # Bash ignores -e in whatever stands in a condition, so the status is fetched without one.
  set +e
  (set -e && "$@") >"$log" 2>&1
  status=$?
  set -e
  if [ -n "$ticker" ]; then
    kill "$ticker"
    wait "$ticker" 2>/dev/null || true
    printf '\r  %-42s ' "$name" >&2
  fi
  [ "$status" = 0 ] || { say failed; tail -n 40 "$log" >&2; die "$name failed; the whole output is in $log"; }
  say "$((SECONDS - started)) s"
  rm -f "$log"
}

tick() { # NAME: counts the seconds on a terminal, for as long as the script lives
  local started=$SECONDS
  while sleep 1 && kill -0 $$ 2>/dev/null; do printf '\r  %-42s %s s ' "$1" "$((SECONDS - started))" >&2; done
}

# debian PACKAGE...: installs what is missing, without starting any service.
debian() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  local install=(apt-get install --no-install-recommends -y -o DPkg::Lock::Timeout=600 "${missing[@]}")
  { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; } || die "missing programs; install them: ${install[*]}"
  say "Installing Debian packages (about a minute): ${missing[*]}"
  step "apt-get update" apt-get update -o DPkg::Lock::Timeout=600
  step "apt-get install" without_services env DEBIAN_FRONTEND=noninteractive "${install[@]}"
}

# A package's own service must not start here. Whatever starts services asks policy-rc.d, and 101 means no;
# a policy that somebody else has put there stays.
without_services() (
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # Maintainer scripts start nothing in runlevel 1, whatever the policy.
  RUNLEVEL=1 "$@"
)
