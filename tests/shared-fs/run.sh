#!/usr/bin/env bash
# Managers on a real shared filesystem: GlusterFS on this host alone, one server and three clients in network namespaces
# of their own, each client with a mount of its own. Runs, with each manager on another mount:
#   - the suite of the filesystem and the tests of the state directory on one mount, and across two
#   - tests/managers.rs: kill -9, pause, clean stop, rolling restart under load
#   - a manager whose mount is cut off, and joins again
# first with clients that cache nothing, then with names and attributes that may be a minute old.
#
#   tests/shared-fs/run.sh [TIMEOUT...]                 cache timeouts in seconds; default: 0 60
#   tests/shared-fs/run.sh [TIMEOUT...] -- COMMAND...   only this, with VCYCLE_TEST_DIRS, VCYCLE_TEST_CUT, VCYCLE_TEST_JOIN set
#
# Needs root, FUSE, and the packages glusterfs-server and glusterfs-client (with INSTALL=yes it installs them by apt-get).
# Says what it lacks, and ends with 2. Everything that it makes is removed, however it ends.
set -euo pipefail
cd "$(dirname "$0")/../.."

lacking() {
    echo "skipped: $*" >&2
    exit 2
}
[ "$(id -u)" = 0 ] || lacking 'needs root, to make network namespaces and to mount'
[ -e /dev/fuse ] || lacking 'this kernel has no FUSE (/dev/fuse)'
if ! command -v glusterd >/dev/null && [ "${INSTALL:-}" = yes ]; then
    apt-get update -qq && apt-get install -y -qq glusterfs-server glusterfs-client
fi
for program in glusterd gluster glusterfs ip nsenter; do
    command -v "$program" >/dev/null || lacking "$program is not installed (INSTALL=yes installs GlusterFS)"
done

# Names of network devices have at most 15 letters.
id=vc$(($$ % 10000))
net=10.217.$((RANDOM % 200 + 20))
top=$(mktemp -d /tmp/vcycle-shared-fs.XXXXXX)
clients=(1 2 3)

# In the network of one of the namespaces, but with the mounts of this host.
within() {
    local place=$1
    shift
    nsenter --net="/run/netns/$id-$place" "$@"
}
cluster() {
    timeout 60 nsenter --net="/run/netns/$id-server" \
        gluster --mode=script --glusterd-sock="$top/run/glusterd.sock" --log-file="$top/log/cli.log" "$@"
}

end_process() {
    local file=$1 pid
    [ -s "$file" ] || return 0
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        readlink "/proc/$pid/exe" >/dev/null 2>&1 || return 0 # also when nobody reaps it
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

unmount_all() {
    local n
    for n in "${clients[@]}"; do
        ip link set "$id-c$n" up 2>/dev/null || true
        umount "$top/mnt$n" 2>/dev/null || umount -l "$top/mnt$n" 2>/dev/null || true
        end_process "$top/run/client$n.pid"
    done
}

clean_up() {
    local status=$?
    trap - EXIT
    set +e
    unmount_all
    # The brick's socket is outside, by a name that only its process knows.
    local brick socket=
    brick=$(cat "$top"/run/vols/state/*.pid 2>/dev/null) &&
        socket=$(tr '\0' '\n' <"/proc/$brick/cmdline" | grep '^/var/run/gluster/.*\.socket$')
    [ -S "$top/run/glusterd.sock" ] && cluster volume stop state force >/dev/null
    for file in "$top"/run/vols/state/*.pid "$top/run/glusterd.pid"; do
        end_process "$file"
    done
    for place in server "${clients[@]/#/c}"; do
        ip netns delete "$id-$place" 2>/dev/null
        ip link delete "$id-$place" 2>/dev/null
    done
    ip link delete "$id-br" 2>/dev/null
    rm -rf --one-file-system "$top"
    [ -z "$socket" ] || rm -f "$socket"
    rm -f "/var/log/glusterfs/bricks/$(echo "${top#/}" | tr / -)-brick.log"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

start_server() {
    local number=1 place
    mkdir -p "$top"/{glusterd,run,brick,log}
    ip link add "$id-br" type bridge
    ip link set "$id-br" up
    for place in server "${clients[@]/#/c}"; do
        ip netns add "$id-$place"
        ip link add "$id-$place" type veth peer name eth0 netns "$id-$place"
        ip link set "$id-$place" master "$id-br" up
        ip -n "$id-$place" addr add "$net.$number/24" dev eth0
        ip -n "$id-$place" link set eth0 up
        ip -n "$id-$place" link set lo up
        number=$((number + 1))
    done
    cat >"$top/glusterd.vol" <<END
volume management
    type mgmt/glusterd
    option working-directory $top/glusterd
    option run-directory $top/run
    option glusterd-sockfile $top/run/glusterd.sock
    option transport-type socket
    option transport.address-family inet
    option transport.socket.read-fail-log off
    option event-threads 1
end-volume
END
    within server glusterd --volfile="$top/glusterd.vol" -p "$top/run/glusterd.pid" --log-file="$top/log/glusterd.log"
    for _ in $(seq 100); do
        cluster volume list >/dev/null 2>&1 && break
        sleep 0.1
    done
    cluster volume create state "$net.1:$top/brick" force
    cluster volume start state
}

mount_all() {
    local timeout=$1 n
    for n in "${clients[@]}"; do
        mkdir -p "$top/mnt$n"
        within "c$n" glusterfs --volfile-server="$net.1" --volfile-id=state \
            --attribute-timeout="$timeout" --entry-timeout="$timeout" \
            -p "$top/run/client$n.pid" -l "$top/log/client$n.log" "$top/mnt$n"
    done
    for n in "${clients[@]}"; do
        for _ in $(seq 100); do
            mountpoint -q "$top/mnt$n" && break
            sleep 0.1
        done
        mountpoint -q "$top/mnt$n" || { tail "$top/log/client$n.log"; exit 1; }
    done
}

# The programs of the tests, by the messages of cargo.
programs() {
    "${CARGO:-cargo}" test --locked -p vcycle --lib --test statedir --test managers --no-run --message-format=json |
        grep '"executable":"' | sed 's/.*"executable":"\([^"]*\)".*/\1/'
}
program() { grep "/$1-[0-9a-f]*$" <<<"$built"; }

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

failed=()
run() {
    local what=$1
    shift
    step "$what"
    timeout 900 "$@" || failed+=("$what")
}

timeouts=()
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
    timeouts+=("$1")
    shift
done
[ "${#timeouts[@]}" -gt 0 ] || timeouts=(0 60)
command=("${@:2}")

if [ "${#command[@]}" = 0 ]; then
    step 'build'
    built=$(programs)
    lib=$(program vcycle) statedir=$(program statedir) managers=$(program managers)
fi

step "$(glusterfs --version | head -1), Linux $(uname -r)"
start_server
for timeout in "${timeouts[@]}"; do
    mount_all "$timeout"
    export VCYCLE_TEST_DIRS="$top/mnt1:$top/mnt2:$top/mnt3"
    export VCYCLE_TEST_CUT="ip link set $id-c1 down" VCYCLE_TEST_JOIN="ip link set $id-c1 up"
    for n in "${clients[@]}"; do mkdir -p "$top/mnt$n/tmp"; done
    with="caches of $timeout s"
    if [ "${#command[@]}" -gt 0 ]; then
        run "${command[*]}, $with" "${command[@]}"
        unmount_all
        continue
    fi
    run "suite of the filesystem, $with" env TMPDIR="$top/mnt1/tmp" "$lib" -q store::fs
    run "state directory on one mount, $with" env -u VCYCLE_TEST_DIRS TMPDIR="$top/mnt1/tmp" "$statedir" -q
    run "state directory across mounts, $with" "$statedir" -q mounts
    run "what a mount hides, $with" "$statedir" -q --ignored --nocapture measured_what_a_mount_hides
    run "managers on three mounts, $with" "$managers" --test-threads=2
    run "a manager that is cut off, $with" "$managers" --ignored --nocapture cut_off
    unmount_all
done

step 'end'
if [ "${#failed[@]}" -gt 0 ]; then
    printf 'FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo 'all passed'
