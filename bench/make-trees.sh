#!/usr/bin/env bash
# Builds pairs of real system and application trees from Debian packages.
#
#   make-trees.sh DIR [NAME...]
#
# NAME is any of os-v1 os-v2 os-v1b app-v1 app-v2 os-trixie os-bullseye (default: all). A tree whose tar is there already is
# left alone, so the script can be run again. Each tree gives, in DIR:
#
#   NAME.tar       sorted, numeric owners, no mtime later than the epoch below
#   NAME/          the same, unpacked
#   NAME.packages  "package version" lines (not of the app layers: theirs are of appfull-vN)
#
#   os-v1        bookworm with its updates, without the security suite
#   os-v2        the same packages with it
#   os-v1b       os-v1 with one source package (openssl) from the security suite
#   os-trixie    the same packages from trixie with updates and security
#   os-bullseye  the same packages from bullseye with updates and security
#   app-vN       os-vN with services less what os-vN has: a layer
#
# Needs root, mmdebstrap and a runtime for the project's own TypeScript (node). Uses the mirrors of this machine's apt, or those
# in MIRROR and SECURITY.
set -euo pipefail
export LC_ALL=C SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1795478400}"

ALL=(os-v1 os-v2 os-v1b app-v1 app-v2 os-trixie os-bullseye)
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
BENCH=$(cd "$(dirname "$0")" && pwd)

[ $# -ge 1 ] || { sed -n '2,/^set/p' "$0" | sed '$d'; exit 2; }
mkdir -p "$1"
OUT=$(cd "$1" && pwd)
shift

# mirror_of SUITE: where this machine's apt has it from
mirror_of() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$1" '$1 == suite { sub("/$", "", $2); print $2; exit }'
}
MIRROR=${MIRROR:-$(mirror_of bookworm)}
SECURITY=${SECURITY:-$(mirror_of bookworm-security)}
[ -n "$MIRROR" ] && [ -n "$SECURITY" ] || { echo 'make-trees.sh: apt knows no mirror of bookworm: run apt-get update' >&2; exit 1; }

# What a small Linux appliance carries. All names exist in bullseye, bookworm and trixie.
SYSTEM=systemd,systemd-sysv,systemd-timesyncd,dbus,udev,kmod,initramfs-tools,zstd
SYSTEM+=,linux-image-cloud-amd64,openssh-server,curl,ca-certificates,openssl
SYSTEM+=,python3,perl,git,nginx-light,iproute2,iputils-ping,ifupdown,nftables
SYSTEM+=,bind9-host,wpasupplicant,rsync,vim-tiny,less,sudo,e2fsprogs,dosfstools
SYSTEM+=,locales,tzdata,procps,cron,logrotate,gnupg,xz-utils,bzip2,tmux
SERVICES=nodejs,npm,postgresql-15,redis-server,python3-django,python3-aiohttp

log() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }

# suites CODENAME [security]: the apt sources, one a line
suites() {
  local options="[signed-by=$KEYRING]"
  echo "deb $options $MIRROR $1 main"
  echo "deb $options $MIRROR $1-updates main"
  [ "${2:-}" != security ] || echo "deb $options $SECURITY $1-security main"
}

# Only openssl comes from the security suite, although apt knows all of it.
cat >"$OUT/.pin" <<'PIN'
Package: *
Pin: release l=Debian-Security
Pin-Priority: -1

Package: openssl libssl3
Pin: release l=Debian-Security
Pin-Priority: 990
PIN

# Run with the tree as argument: an image has no caches, logs, identities, or anything random or of this machine.
cat >"$OUT/.clean" <<'CLEAN'
set -eu
cd "$1"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* var/cache/ldconfig var/cache/debconf/*-old var/lib/dpkg/*-old \
  var/lib/apt/extended_states tmp/* run/* root/.bash_history var/lib/dbus/machine-id etc/apt/apt.conf.d/99mmdebstrap
rm -f etc/ssh/ssh_host_* etc/hostname etc/resolv.conf etc/*- etc/ssl/private/ssl-cert-snakeoil.key \
  etc/ssl/certs/ssl-cert-snakeoil.pem etc/apt/preferences.d/pin var/lib/systemd/random-seed \
  var/lib/systemd/catalog/database usr/lib/udev/hwdb.bin etc/udev/hwdb.bin
# The hash link of a certificate that is gone.
find etc/ssl/certs -xtype l -delete
# Clusters of databases are data, no software.
rm -rf var/lib/postgresql etc/postgresql var/lib/redis/*
: >etc/machine-id
# One list of sources for all trees, so that it is no change between them.
rm -f etc/apt/sources.list.d/*
echo 'deb file:/srv/mirror stable main' >etc/apt/sources.list
CLEAN
trap 'rm -f "$OUT/.clean" "$OUT/.pin"' EXIT

# build NAME CODENAME PACKAGES SOURCES [PIN]: NAME.tar and NAME.packages
build() {
  local name=$1 codename=$2 packages=$3 sources=$4 pin=${5:-} hooks=()
  [ ! -e "$OUT/$name.tar" ] || { log "$name: there already"; return; }
  log "$name: building from $codename"
  [ "$codename" = bullseye ] || hooks+=(--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr)
  [ -z "$pin" ] ||
    hooks+=(--setup-hook="mkdir -p \"\$1/etc/apt/preferences.d\"; cp '$pin' \"\$1/etc/apt/preferences.d/pin\"")
  mmdebstrap --quiet --mode=root --format=tar --variant=minbase --include="$packages" "${hooks[@]}" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --customize-hook="dpkg-query --admindir=\"\$1/var/lib/dpkg\" -W -f '\${Package} \${Version}\n' >'$OUT/$name.packages'" \
    --customize-hook="sh '$OUT/.clean' \"\$1\"" \
    "$codename" "$OUT/$name.tar.tmp" - <<<"$sources" >"$OUT/$name.log" 2>&1 || { tail -20 "$OUT/$name.log" >&2; return 1; }
  mv "$OUT/$name.tar.tmp" "$OUT/$name.tar"
}

# unpack NAME: NAME.tar to the directory NAME
unpack() {
  [ ! -d "$OUT/$1" ] || return 0
  rm -rf "$OUT/$1.tmp" && mkdir "$OUT/$1.tmp"
  tar -C "$OUT/$1.tmp" --numeric-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -xpf "$OUT/$1.tar"
  mv "$OUT/$1.tmp" "$OUT/$1"
}

# layer NAME FULL BASE: NAME is what FULL has that BASE has not, as an overlay would hold it
layer() {
  [ ! -e "$OUT/$1.tar" ] || { log "$1: there already"; return; }
  log "$1: $2 less $3"
  unpack "$2"
  node "$BENCH/layer-paths.ts" "$OUT/$2" "$OUT/$3" >"$OUT/$1.list"
  tar -C "$OUT/$2" --no-recursion --null --files-from="$OUT/$1.list" --sort=name --numeric-owner --xattrs \
    --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime --pax-option=delete=atime,delete=ctime -cf "$OUT/$1.tar.tmp"
  mv "$OUT/$1.tar.tmp" "$OUT/$1.tar"
  rm -rf "$OUT/$1.list" "${OUT:?}/$2"
}

make() {
  case $1 in
    os-v1) build os-v1 bookworm "$SYSTEM" "$(suites bookworm)" ;;
    os-v2) build os-v2 bookworm "$SYSTEM" "$(suites bookworm security)" ;;
    os-v1b) build os-v1b bookworm "$SYSTEM" "$(suites bookworm security)" "$OUT/.pin" ;;
    os-trixie) build os-trixie trixie "$SYSTEM" "$(suites trixie security)" ;;
    os-bullseye) build os-bullseye bullseye "$SYSTEM" "$(suites bullseye security)" ;;
    app-v1) make os-v1 && build appfull-v1 bookworm "$SYSTEM,$SERVICES" "$(suites bookworm)" && layer app-v1 appfull-v1 os-v1 ;;
    app-v2) make os-v2 && build appfull-v2 bookworm "$SYSTEM,$SERVICES" "$(suites bookworm security)" && layer app-v2 appfull-v2 os-v2 ;;
    *) log "no tree is called $1"; return 2 ;;
  esac || return
  unpack "$1"
}

[ $# -gt 0 ] || set -- "${ALL[@]}"
failed=
for name; do
  make "$name" || { log "$name: could not be made"; failed+=" $name"; }
done
[ -z "$failed" ] || { log "failed:$failed"; exit 1; }
