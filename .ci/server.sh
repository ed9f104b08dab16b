#!/usr/bin/env bash
# Puts a Redis 8 server (with vector sets: VADD, VSIM) or a Valkey 8 server into a folder, on a Debian machine for x86-64
# whose own release has an older one or none, and prints the path of the server. The packages are unpacked, not
# installed: nothing of the system changes. Usage: .ci/server.sh redis|valkey [FOLDER]
#   server=$(.ci/server.sh redis) && "$server" --port 6399 --save '' --daemonize yes
set -euo pipefail
name=$1
declare -A folders=([redis]=encore-redis8 [valkey]=encore-valkey)
dir=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/${folders[$name]}}
server=$dir/$name-server
if [ -x "$server" ] && "$server" --version >/dev/null 2>&1; then echo "$server"; exit 0; fi

mirror=$(awk '/^URIs:/ && $2 !~ /security/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources)
mkdir -p "$dir/lists/partial" "$dir/debs" "$dir/root"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$dir/trixie.list"
apt=(-o "Dir::Etc::sourcelist=$dir/trixie.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::Lists=$dir/lists" -o APT::Sandbox::User=root)
apt-get "${apt[@]}" -qq update >&2
(cd "$dir/debs" && apt-get "${apt[@]}" -qq download "$name-server" "$name-tools" libc6 libstdc++6 libgcc-s1 libatomic1 \
   libjemalloc2 liblzf1 libsystemd0 libssl3t64 libcap2 libzstd1 zlib1g libhiredis1.1.0 >&2)
for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir/root"; done
lib=$dir/root/usr/lib/x86_64-linux-gnu
printf '#!/bin/sh\nexec "%s/ld-linux-x86-64.so.2" --library-path "%s" "%s/root/usr/bin/%s-server" "$@"\n' "$lib" "$lib" "$dir" "$name" > "$server"
chmod +x "$server"
"$server" --version >&2
echo "$server"
