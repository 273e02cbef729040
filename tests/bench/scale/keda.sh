# shellcheck shell=bash
# KEDA's programs, for the benchmark with a thousand ScaledObjects and for the test beside it. Needs lib.sh.

KEDA_VERSION=2.20.2

# keda_built FOLDER: its programs into FOLDER/bin; sets KEDA_SOURCE.
keda_built() {
  built_in_place keda github.com/kedacore/keda/v2 "v$KEDA_VERSION" "$1/bin" operator adapter
  KEDA_SOURCE=$SOURCE
}
