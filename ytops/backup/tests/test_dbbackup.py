"""dbbackup: what it writes, what it says, what it refuses."""

import pytest

from ytops.backup.tests.site import Site, said

pytestmark = pytest.mark.django_db


def test_there_and_back(site: Site) -> None:
    before = site.content()
    said("dbbackup")
    site.execute("DELETE FROM video_statistics")
    assert site.content() != before
    said("dbrestore", "--noinput")
    assert site.content() == before
