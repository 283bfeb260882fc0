import sys
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management import CommandError, CommandParser
from django.db import DataError, IntegrityError

from jobs_app.briefing import briefing, fetched
from jobs_app.handlers import LONGEST_WAIT
from jobs_app.load import COUNTS, load
from jobs_app.management import arguments
from jobs_app.models import Answer, VideoProcessingJob
from jobs_app.reports import as_reported, masked
from jobs_app.states import JobKind, JobRefused, JobStatus, LeaseLost
from settings_app.static_layers import valid_static_layers
from videos_app import slots
from videos_app.life import MoveRefused, VideoStatus
from ytops.db import strict_json
from ytops.management.speaking import USAGE, SpeakingCommand, operator, whole_number

CANCEL, LOST = 3, 4
EXIT_CODES = {Answer.CONTINUE: 0, Answer.CANCEL: CANCEL, Answer.LOST: LOST}
MOST_CLAIMED = 100
LARGEST_RUN_ID = 2**63 - 1


class Command(SpeakingCommand):
    help = (
        "What workers and operators say to the queue of jobs. Exit codes: 0 done; 1 refused or "
        "wrong, and nothing is changed; 2 usage; 3 the heartbeat says: cancel; 4 the lease is "
        "lost, and nothing is changed."
    )
    # A worker asks often: only what stops every start is checked, in `handle`.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

        def action(name: str, words: str, *, job: bool = False, token: bool = False) -> Any:
            made = actions.add_parser(name, help=words, description=words)
            made.add_argument("--format", choices=["text", "json"], default="text")
            if job:
                made.add_argument("id", metavar="ID", type=arguments.job_id, help="The job's id.")
            if token:
                made.add_argument(
                    "--token",
                    metavar="T",
                    type=arguments.token,
                    required=True,
                    help="What `claim` printed. Others can see a command line: give “-”, and the "
                    "token on standard input.",
                )
            return made

        claim = action("claim", "Take jobs that are due, each with a lease and a token.")
        claim.add_argument(
            "--kind", choices=JobKind.values, action="append", help="Of this kind; repeatable."
        )
        claim.add_argument(
            "--worker", metavar="NAME", type=arguments.name, help="Default: host and process."
        )
        claim.add_argument("--limit", metavar="N", type=whole_number(1, MOST_CLAIMED), default=1)
        beat = action(
            "heartbeat", "Keep a lease; prints continue, cancel or lost.", job=True, token=True
        )
        beat.add_argument("--progress", metavar="P", type=whole_number(0, 100), help="Per cent.")
        beat.add_argument(
            "--run-id",
            metavar="N",
            type=whole_number(1, LARGEST_RUN_ID),
            help="Of the run on GitHub that does the work.",
        )
        done = action("complete", "The work is done.", job=True, token=True)
        done.add_argument(
            "--result",
            metavar="JSON",
            type=arguments.json_object_or_dash,
            default={},
            help='An object; a publication\'s has "youtube_video_id". One that is too long for a '
            "command line: give “-”, and it on standard input, after the token if that is there.",
        )
        fail = action(
            "fail",
            "This attempt came to nothing; another follows if there is one left. A publication "
            "may be out then: it needs a review, unless --retry-in or --final says that it is not.",
            job=True,
            token=True,
        )
        fail.add_argument("--error", metavar="TEXT", required=True)
        then = fail.add_mutually_exclusive_group()
        then.add_argument(
            "--retry-in",
            metavar="SECONDS",
            type=whole_number(0, LONGEST_WAIT),
            help="Wait so long, and not a random time.",
        )
        then.add_argument("--final", action="store_true", help="No other attempt.")
        action("cancel", "Take a job out of the queue, or ask its worker to stop.", job=True)
        action("retry", "Queue a job again that failed or was cancelled.", job=True)
        action("rescue", "Take back the jobs whose workers are silent.")
        action("prune", "Delete the jobs that ended longer ago than jobs.retention_days.")
        action("status", "What waits, runs, is stuck and has failed, and how much may run.")

    def handle(self, *, action: str, format: str, **options: Any) -> None:
        self.as_json = format == "json"
        given = {name: value for name, value in options.items() if name in ARGUMENTS}
        valid_static_layers()
        try:
            getattr(self, f"do_{action}")(**given)
        except LeaseLost as error:
            raise CommandError(str(error), returncode=LOST) from None
        except (JobRefused, MoveRefused) as error:
            raise CommandError(str(error)) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except (DataError, IntegrityError) as error:
            # The first line alone: the next ones show whole rows, with their tokens.
            why = str(error).partition("\n")[0]
            raise CommandError(f"The database refused it, and nothing is changed: {why}") from None

    # --- what workers say ---

    def do_claim(self, *, kind: list[str] | None, worker: str | None, limit: int) -> None:
        worker = worker or arguments.host_and_pid()
        claimed = VideoProcessingJob.objects.claim(worker=worker, kinds=kind or (), limit=limit)
        jobs = fetched(claimed)
        if self.as_json:
            self.print_json([briefing(job) for job in jobs])
        elif jobs:
            self.print_columns(
                (
                    str(job.pk),
                    job.kind,
                    f"token {job.lease_token}",
                    f"attempt {job.attempts} of {job.max_attempts}",
                    f"{strict_json.line(job.video.title)} of {job.video.channel}",
                )
                for job in jobs
            )
        else:
            self.stdout.write("No job to claim.")

    def do_heartbeat(
        self, *, id: UUID, token: UUID | None, progress: int | None, run_id: int | None
    ) -> None:
        job = VideoProcessingJob(pk=id, lease_token=token or self.token_of_stdin())
        answer = job.heartbeat(progress=progress, run_id=run_id)
        if self.as_json:
            self.print_json({"answer": answer})
        else:
            self.stdout.write(answer)
        if code := EXIT_CODES[answer]:
            sys.exit(code)

    def do_complete(self, *, id: UUID, token: UUID | None, result: dict[str, Any] | None) -> None:
        token = token or self.token_of_stdin()
        result = self.result_of_stdin() if result is None else result
        job = self.held(id, token)
        job.complete(masked(result, job.video.channel))
        self.print_outcome(id)

    def do_fail(
        self, *, id: UUID, token: UUID | None, error: str, retry_in: int | None, final: bool
    ) -> None:
        wait = None if retry_in is None else timedelta(seconds=retry_in)
        job = self.held(id, token)
        job.fail(as_reported(error, job.video.channel), retry_in=wait, final=final)
        self.print_outcome(id)

    def held(self, id: UUID, token: UUID | None) -> VideoProcessingJob:
        return VideoProcessingJob.objects.held(id, token or self.token_of_stdin())

    def token_of_stdin(self) -> UUID:
        try:
            return UUID(sys.stdin.readline().strip())
        except (AttributeError, ValueError):  # closed, or something else
            raise CommandError(
                "Standard input has no token: expected it as `jobs claim` printed it.",
                returncode=USAGE,
            ) from None

    def result_of_stdin(self) -> dict[str, Any]:
        try:
            return arguments.json_object(sys.stdin.read())
        except (AttributeError, ValueError, ArgumentTypeError) as error:  # closed, or no text
            raise CommandError(f"Standard input: {error}", returncode=USAGE) from None

    # --- what operators say ---

    def do_cancel(self, *, id: UUID) -> None:
        VideoProcessingJob(pk=id).cancel(by=operator())
        self.print_outcome(id)

    def do_retry(self, *, id: UUID) -> None:
        VideoProcessingJob(pk=id).retry(by=operator())
        self.print_outcome(id)

    def do_rescue(self) -> None:
        jobs = VideoProcessingJob.objects.rescue()
        if self.as_json:
            self.print_json(
                [
                    {"id": job.pk, "kind": job.kind, "status": job.status, "worker": job.worker}
                    for job in jobs
                ]
            )
            return
        for job in jobs:
            self.stdout.write(f"{job.pk}  {job.kind} of {job.worker} is {job.status}.")
        self.stdout.write(f"{len(jobs)} rescued.")

    def do_prune(self) -> None:
        deleted = VideoProcessingJob.objects.prune()
        if self.as_json:
            self.print_json({"deleted": deleted})
        else:
            self.stdout.write(f"{deleted} deleted.")

    def do_status(self) -> None:
        found = load()
        if self.as_json:
            self.print_json(found)
            return
        if found["paused"]:
            self.stdout.write("Paused: no job is started (jobs.paused).")
        self.stdout.write(
            f"Running: {found['running']} of at most {found['max_concurrent']} "
            "(jobs.max_concurrent)."
        )
        head = ("channel", "kind", *COUNTS, "oldest due", "at most")
        lanes = [{"channel": "all", "most": "", **one} for one in found["kinds"]]
        for one in found["channels"]:
            most = str(one["max_concurrent"]) if one["is_active"] else "inactive"
            lanes.append({"most": most, **one})
        self.print_columns([head, *(row(lane) for lane in lanes)])

    def print_outcome(self, id: UUID) -> None:
        """What has become of the job and of its video."""
        rows = VideoProcessingJob.objects.select_related("video__channel")
        job = rows.filter(pk=id).first()
        if job is None:
            raise CommandError(f"Done, but job {id} has been deleted since.")
        video = job.video
        asked = job.status == JobStatus.RUNNING and job.cancel_requested_at is not None
        has_no_slot = video.status == VideoStatus.TRANSFORMED and not video.jobs.live().exists()
        why = slots.why_none(video.channel) if has_no_slot else ""
        if self.as_json:
            self.print_json(
                {
                    "id": job.pk,
                    "kind": job.kind,
                    "status": job.status,
                    "run_at": job.run_at.isoformat(),
                    "cancel_requested": asked,
                    "video": {"id": video.pk, "status": video.status},
                    "waits_because": why,
                }
            )
            return
        due = f" for {job.run_at:%Y-%m-%d %H:%M:%SZ}" if job.status == JobStatus.QUEUED else ""
        asked_to = "; its worker is asked to stop" if asked else ""
        self.stdout.write(
            f"Job {job.pk} ({job.kind}) is {job.status}{due}{asked_to}. "
            f"Its video is {video.get_status_display()}.{why and f' {why}'}"
        )


ARGUMENTS = (
    *("kind", "worker", "limit", "id", "token", "progress", "run_id", "result"),
    *("error", "retry_in", "final"),
)


def row(lane: dict[str, Any]) -> tuple[str, ...]:
    age = lane["oldest_due_seconds"]
    return (
        lane["channel"],
        lane["kind"],
        *(str(lane[name]) for name in COUNTS),
        "" if age is None else str(timedelta(seconds=age)),
        lane["most"],
    )
