from pathlib import Path
from typing import Any

import pytest

from stats_app.tests.made_up import Write, answer


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an answer of this kind with these items into a file, and give its path."""

    def write(kind: str, *items: Any, name: str = "answer.json") -> str:
        path = tmp_path / name
        path.write_text(answer(kind, *items))
        return str(path)

    return write
