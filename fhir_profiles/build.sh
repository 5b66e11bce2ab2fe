#!/usr/bin/env bash
# Compiles input/fsh to JSON with snapshots: build.sh [folder]; SUSHI writes to <folder>/fsh-generated.
# SUSHI itself needs no network: its package cache is filled from packages/, and its look-ups
# (newest SUSHI, optional terminology packages) go to a closed port, so they fail at once.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-.}
home=$PWD/.build/home
core=$home/.fhir/packages/hl7.fhir.r4.core#4.0.1
sushi=node_modules/fsh-sushi/dist/app.js

# npm ci leaves this file; it is older than the lock when the lock has changed since.
if [ ! -f "$sushi" ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
if [ ! -f "$core/package/package.json" ] || [ packages/hl7.fhir.r4.core-4.0.1.tgz -nt "$core/.unpacked" ]; then
  rm -rf "$core"
  mkdir -p "$core"
  tar -xzf packages/hl7.fhir.r4.core-4.0.1.tgz -C "$core"
  touch "$core/.unpacked"
fi
# SUSHI runs `npm view` to learn of newer versions; these settings keep that away from the network too.
HOME=$home FPL_REGISTRY=http://127.0.0.1:9 HTTPS_PROXY=http://127.0.0.1:9 \
  npm_config_registry=http://127.0.0.1:9 npm_config_fetch_retries=0 npm_config_loglevel=silent \
  node "$sushi" build --snapshot --log-level "${SUSHI_LOG:-warn}" --out "$out" .
