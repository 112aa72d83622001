#!/bin/sh
# Waits until Temporal at TEMPORAL_ADDRESS serves, and makes the namespace `default` where there is none.
set -eu

tries=60
until temporal operator cluster health; do
  tries=$((tries - 1))
  if [ "$tries" -eq 0 ]; then
    echo "Temporal at $TEMPORAL_ADDRESS does not serve" >&2
    exit 1
  fi
  sleep 1
done

temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
  temporal operator namespace create --namespace default --retention 72h
