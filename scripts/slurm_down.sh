#!/usr/bin/env bash
# Stop the SLURM of slurm_up.sh: `slurm_down.sh [FOLDER]`. Jobs that are left are cancelled.
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin
folder=${1:-.slurm}
[ -s "$folder/slurm.conf" ] || { echo "$folder holds no SLURM" >&2; exit 0; }
folder=$(cd "$folder" && pwd)
export SLURM_CONF=$folder/slurm.conf

daemons() { # pids of the daemons of this folder that are alive
    local file pid
    for file in "$folder"/slurmctld.pid "$folder"/slurmd-*.pid "$folder"/munged.pid; do
        pid=$(cat "$file" 2>/dev/null) || continue
        # a pid may have been given to somebody else since
        grep -qE '^(slurmctld|slurmd|munged)' "/proc/$pid/comm" 2>/dev/null && echo "$pid"
    done
}

if scontrol ping 2>/dev/null | grep -q "is UP"; then
    # a job step that cannot report its end would stay behind
    timeout 20 scancel --user="$(id -un)" 2>/dev/null
    for _ in $(seq 80); do
        timeout 10 squeue -h 2>/dev/null | grep -q . || break
        sleep 0.25
    done
fi
# munged last: the others authenticate by it until they are gone
for name in slurmd slurmctld munged; do
    for pid in $(daemons); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] && kill "$pid" 2>/dev/null
    done
    for _ in $(seq 40); do
        for pid in $(daemons); do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] && sleep 0.1 && continue 2; done
        break
    done
done
for pid in $(daemons); do kill -9 "$pid" 2>/dev/null; done
rm -f "$folder"/*.pid "$folder/munge.sock"
exit 0
