import pytest

from settings_app.models import SystemConfiguration
from ytops.tests.processes import finish, start


@pytest.mark.usefixtures("committing")
def test_a_child_keeps_the_snapshot_and_has_connections_of_its_own() -> None:
    SystemConfiguration.objects.create(key="test.forked", value=1)
    process = finish(start("-m", "settings_app.tests.forker", "test.forked"))
    assert (process.stderr, process.stdout, process.returncode) == ("", "done\n", 0)
