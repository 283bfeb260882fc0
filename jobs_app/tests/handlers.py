"""A handler for workers that a test starts as processes; the video says where its files are."""

import time
from pathlib import Path
from typing import Any

from jobs_app.handlers import Work, handles


@handles("download")
def download(work: Work) -> dict[str, Any]:
    """Makes the file `started`, and waits until there is a file `go`."""
    folder = Path(work.video.metadata["folder"])
    (folder / "started").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return {"attempt": work.job.attempts}
