# shellcheck shell=bash
# KEDA's programs, for the benchmark with a thousand ScaledObjects and for the test beside it. Needs lib.sh.

KEDA_VERSION=2.20.2

# keda_built FOLDER: its programs into FOLDER/bin, from its own module with its own versions of everything; sets KEDA_SOURCE.
keda_built() {
  local tools=$1 part
  need_go
  KEDA_SOURCE=$(GOTOOLCHAIN=local go mod download -json "github.com/kedacore/keda/v2@v$KEDA_VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  [ -d "$KEDA_SOURCE" ] || die "cannot download KEDA $KEDA_VERSION"
  [ "$(cat "$tools/keda.stamp" 2>/dev/null)" = "$KEDA_VERSION" ] && [ -x "$tools/bin/keda-adapter" ] && return
  mkdir -p "$tools/bin"
  say "Building KEDA $KEDA_VERSION (ten minutes the first time)"
  for part in operator adapter; do
    step "keda-$part" bash -c "cd '$KEDA_SOURCE' && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local \
      go build -trimpath -buildvcs=false -ldflags '-s -w' -o '$tools/bin/keda-$part' ./cmd/$part"
  done
  echo "$KEDA_VERSION" >"$tools/keda.stamp"
}
