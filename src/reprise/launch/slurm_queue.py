"""What SLURM says of jobs: squeue for all at once, scontrol for one that ended, sacct where that is too late."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

# States of squeue that a job does not leave by itself. All others (PENDING, RUNNING, COMPLETING, REQUEUED, SUSPENDED,
# REQUEUE_HOLD ...) may still come to something.
ENDED = (
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "OUT_OF_MEMORY",
    "NODE_FAIL",
    "BOOT_FAIL",
    "DEADLINE",
    "PREEMPTED",
    "REVOKED",
)
_NO_REASON = ("", "None", "(null)")
_SECONDS = 30.0


class Unreachable(Exception):
    """SLURM did not answer: the controller restarts, or the network is away."""


@dataclass(frozen=True)
class JobState:
    """A job as SLURM sees it.

    Attributes:
        state: SLURM's word: PENDING, RUNNING, COMPLETED, TIMEOUT, ...
        reason: why it waits or why it ended; empty where SLURM gives none.
        exit_code: of the batch script; None where it is not known.
        signal: that ended it; 0 for none.
        preempted: it was told to make room, and has some time left to do so.
    """

    state: str
    reason: str = ""
    exit_code: int | None = None
    signal: int = 0
    preempted: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED

    def describe(self) -> str:
        """In words: `TIMEOUT (TimeLimit), exit code 0:15`."""
        words = self.state
        if self.reason and self.reason.upper() not in (self.state, "NONZEROEXITCODE"):
            words += f" ({self.reason})"
        if self.exit_code or self.signal:
            words += f", exit code {self.exit_code or 0}" + (f", signal {self.signal}" if self.signal else "")
        return words


def array_of(job: str) -> str:
    """The id under which a job was submitted: `12` of `12_3`."""
    return job.partition("_")[0]


def look(jobs: Iterable[str]) -> dict[str, JobState]:
    """Ask squeue for jobs, in one call.

    Returns:
        job id, as `12` or `12_3` -> its state; those that SLURM has forgotten are not in it.

    Raises:
        Unreachable: SLURM did not answer.
    """
    ids = sorted({array_of(j) for j in jobs})
    if not ids:
        return {}
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(ids)}"]
    code, out, complaint = _ask(command)
    if code and "invalid job id" in complaint.lower():  # what squeue says when it knows none of them any more
        return {}
    if code:
        raise Unreachable(complaint.strip() or f"squeue ended with code {code}")
    return parse_squeue(out)


def look_for_names(names: Iterable[str]) -> dict[str, tuple[str, JobState]]:
    """Ask squeue for jobs by the names they were given.

    Returns:
        job id -> its name and its state.

    Raises:
        Unreachable: SLURM did not answer.
    """
    command = ["squeue", "--noheader", "--array", "--format=%j|%i|%T|%r", f"--name={','.join(sorted(names))}"]
    code, out, complaint = _ask(command)
    if code:
        raise Unreachable(complaint.strip() or f"squeue ended with code {code}")
    found: dict[str, tuple[str, JobState]] = {}
    for line in out.splitlines():
        name, _, rest = line.strip().partition("|")
        found |= {job: (name, state) for job, state in parse_squeue(rest).items()}
    return found


def parse_squeue(text: str) -> dict[str, JobState]:
    """Read the lines that `look` asks for; an id may stand for a range of an array, as in `12_[3-5,8%2]`."""
    found: dict[str, JobState] = {}
    for line in text.splitlines():
        job, _, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        if job and state:
            known = JobState(state, "" if reason in _NO_REASON else reason)
            found |= dict.fromkeys(expand(job), known)
    return found


def expand(job: str) -> list[str]:
    """List the ids that one of squeue's stands for."""
    main, _, rest = job.partition("_")
    if not rest.startswith("["):
        return [job]
    found = []
    for part in rest.strip("[]").partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            found += [f"{main}_{i}" for i in range(int(first), int(last or first) + 1)]
    return found


def detail(job: str) -> JobState | None:
    """Ask scontrol how one job is, exit code included; None when it has forgotten it or does not answer."""
    try:
        code, out, _ = _ask(["scontrol", "--oneliner", "show", "job", job])
    except Unreachable:
        return None
    return parse_scontrol(out) if code == 0 else None


def parse_scontrol(text: str) -> JobState | None:
    """Read a line of `scontrol -o show job`."""
    fields = dict(re.findall(r"(?:^|\s)(JobState|Reason|ExitCode|PreemptTime)=(\S*)", text))
    if "JobState" not in fields:
        return None
    code, _, number = fields.get("ExitCode", "").partition(":")
    reason = fields.get("Reason", "")
    return JobState(
        fields["JobState"],
        "" if reason in _NO_REASON else reason,
        int(code) if code.isdigit() else None,
        int(number) if number.isdigit() else 0,
        fields.get("PreemptTime", "None") not in ("None", "Unknown", "N/A"),
    )


def remembered(job: str) -> JobState | None:
    """Ask the accounting how a job ended; None where there is none, or it does not know."""
    try:
        code, out, _ = _ask(["sacct", "--noheader", "--parsable2", "--format=JobID,State,ExitCode", f"--jobs={job}"])
    except Unreachable:
        return None
    for line in out.splitlines() if code == 0 else []:
        name, state, exit_code = ([*line.split("|"), "", ""])[:3]
        if name == job and state:
            first, _, number = exit_code.partition(":")
            return JobState(
                state.split()[0],  # `CANCELLED by 1000`
                "",
                int(first) if first.isdigit() else None,
                int(number) if number.isdigit() else 0,
            )
    return None


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs; those that ended meanwhile are no error."""
    if ids := sorted(jobs):
        _ask(["scancel", *ids])


def _ask(command: list[str]) -> tuple[int, str, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, start_new_session=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(str(error)) from None
    return done.returncode, done.stdout, done.stderr
