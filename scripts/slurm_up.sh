#!/usr/bin/env bash
# A private SLURM on this machine: `slurm_up.sh [FOLDER]`, by default .slurm. Everything it writes is below FOLDER.
# It has two virtual nodes, so that multi-node runs are really exercised, and no accounting, as small clusters often do.
#
# SLURM_DEV_PORT   first of three ports in a row (26817)
# SLURM_DEV_CPUS   CPUs that each node claims to have (the cores of this machine)
#
# The last line it prints is the `export SLURM_CONF=...` that makes sbatch, srun and squeue talk to it.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

missing=()
for tool in munged slurmctld slurmd sbatch srun scontrol; do command -v "$tool" >/dev/null || missing+=("$tool"); done
if [ ${#missing[@]} -gt 0 ]; then
    echo "missing: ${missing[*]}. Install SLURM with: apt-get install slurm-wlm munge" >&2
    exit 3
fi

folder=${1:-.slurm}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd)
port=${SLURM_DEV_PORT:-26817}
cpus=${SLURM_DEV_CPUS:-$(nproc)}
memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
host=$(hostname -s)
user=$(id -un)
export SLURM_CONF=$folder/slurm.conf

if [ -s "$SLURM_CONF" ] && scontrol ping 2>/dev/null | grep -q "is UP"; then
    echo "it is up already" >&2
    echo "export SLURM_CONF=$SLURM_CONF"
    exit 0
fi
if [ ${#folder} -gt 90 ]; then
    echo "$folder is too long a path for a socket. Expected 90 characters or fewer." >&2
    exit 1
fi
mkdir -p "$folder"/{state,spool,log}

# its own key and socket: nothing below /etc or /run is read or written
[ -s "$folder/munge.key" ] || (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.sock" --pid-file="$folder/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munged.seed"

# cred_expire is also what a requeued job waits before it starts again (120 s unless set)
cat >"$SLURM_CONF" <<CONF
ClusterName=dev
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$folder/munge.sock,cred_expire=5
CredType=cred/munge
SlurmctldPort=$port
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=256
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=2,batch_sched_delay=1,sched_min_interval=100000
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
PreemptMode=off
ReturnToService=2
InactiveLimit=0
KillWait=15
MinJobAge=600
SlurmctldTimeout=30
SlurmdTimeout=30
Waittime=0
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=debug Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
CONF

slurmctld -c
slurmd -c -N n1
slurmd -c -N n2
for _ in $(seq 120); do
    if [ "$(sinfo -h -N -o %T 2>/dev/null | grep -cE 'idle|mixed|alloc')" -ge 2 ]; then
        echo "export SLURM_CONF=$SLURM_CONF"
        exit 0
    fi
    sleep 0.25
done
echo "SLURM did not come up; its logs end with:" >&2
tail -n 15 "$folder"/log/*.log >&2
"$(dirname "$0")/slurm_down.sh" "$folder"
exit 1
