from settings_app.registry import Setting

POSTS_PER_DAY = Setting(
    "publish.posts_per_day",
    int,
    default=2,
    min=0,
    max=50,
    per_channel=True,
    help="Most videos a channel publishes on one of its local days; 0 stops it.",
)
MIN_GAP_MINUTES = Setting(
    "publish.min_gap_minutes",
    int,
    default=120,
    min=0,
    max=24 * 60,
    per_channel=True,
    help="Least time between two publications of a channel, in minutes.",
)
PRIVACY = Setting(
    "publish.privacy",
    str,
    default="private",
    choices=("private", "unlisted", "public"),
    per_channel=True,
    help="Who can see a video that is published. YouTube takes “public” if it is not told.",
)
DESCRIPTION_FOOTER = Setting(
    "publish.description_footer",
    str,
    default="",
    max=1000,
    per_channel=True,
    help="Text under the description of each published video.",
)
MIN_RESOLUTION = Setting(
    "transform.min_resolution",
    int,
    default=720,
    min=144,
    max=4320,
    per_channel=True,
    help="Least height of a source that is transformed, in lines of the picture.",
)
# The two quotas of a Google API project since 2026-06-01: videos.insert has a bucket of its own.
# https://developers.google.com/youtube/v3/determine_quota_cost
UPLOADS_PER_DAY = Setting(
    "youtube.uploads_per_day",
    int,
    default=100,
    min=0,
    max=1_000_000,
    help="Most calls of videos.insert a day, from midnight in California: YouTube's quota.",
)
UNITS_PER_DAY = Setting(
    "youtube.units_per_day",
    int,
    default=10_000,
    min=0,
    max=100_000_000,
    help="Most units of all other calls of YouTube's API a day: YouTube's quota.",
)
