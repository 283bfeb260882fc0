from settings_app.registry import Setting
from ytops.db.secrets import Secret

PAUSED = Setting(
    "jobs.paused",
    bool,
    default=False,
    help="The pause switch of the fleet: while it is on no job is started.",
)
MAX_CONCURRENT = Setting(
    "jobs.max_concurrent",
    int,
    default=4,
    min=0,
    max=1000,
    help="Most jobs that run at the same time in the whole system.",
)
MAX_CONCURRENT_PER_CHANNEL = Setting(
    "jobs.max_concurrent_per_channel",
    int,
    default=2,
    min=0,
    max=1000,
    per_channel=True,
    help="Most jobs of one channel that run at the same time.",
)
MAX_ATTEMPTS = Setting(
    "jobs.max_attempts",
    int,
    default=5,
    min=1,
    max=100,
    help="How often a job is tried before it is failed, the first time included.",
)
BACKOFF_SECONDS = Setting(
    "jobs.backoff_seconds",
    int,
    default=60,
    min=0,
    max=24 * 3600,
    help="Longest wait before the second attempt, in seconds; it doubles with each further one.",
)
LEASE_SECONDS = Setting(
    "jobs.lease_seconds",
    int,
    default=300,
    min=10,
    max=24 * 3600,
    help="How long a worker may be silent before its job is taken from it, in seconds.",
)
RETENTION_DAYS = Setting(
    "jobs.retention_days",
    int,
    default=90,
    min=1,
    max=3650,
    help="How long finished jobs are kept, in days.",
)
GITHUB_TOKEN = Setting(
    "github.token",
    Secret,
    default=None,
    help="Token with which the workflow runs on GitHub are started and asked about.",
)
GITHUB_REPOSITORY = Setting(
    "github.repository",
    str,
    default="",
    max=140,
    help="The repository whose workflow runs are linked to, as owner/name.",
)
