"""The project's own settings, in an environment that the tests choose."""

import os
import tempfile

os.environ["ENV_FILE"] = os.devnull
os.environ["SECRET_KEY"] = "for-tests-only-not-a-key-of-any-installation-0123456789abcdef"
os.environ["FERNET_KEYS"] = (
    "newest-key-for-tests-only-0123456789,older-key-for-tests-only-0123456789"
)
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or "sqlite:///var/tests.sqlite3"
if "PYTEST_VERSION" in os.environ and "TEST_SQLITE_FILE" not in os.environ:
    # A file, as in production: an in-memory database knows neither WAL nor a second process.
    FOLDER = tempfile.TemporaryDirectory(prefix="ytops-tests-")
    os.environ["TEST_SQLITE_FILE"] = os.path.join(FOLDER.name, "tests.sqlite3")
NOT_OURS = ("DEBUG", "ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "JOB_HANDLERS", "BACKUP_")
for name in [name for name in os.environ if name.startswith(NOT_OURS)]:
    del os.environ[name]
os.environ["HTTPS"] = "off"
if "PYTEST_VERSION" in os.environ:
    # Checks speak of the backups that a folder holds: a new one, of this process of pytest alone.
    os.environ["BACKUP_DIR"] = tempfile.mkdtemp(
        prefix="backups-", dir=os.path.dirname(os.environ["TEST_SQLITE_FILE"])
    )

from ytops.settings import *  # noqa: E402, F403
from ytops.settings import STORAGES  # noqa: E402

# The real hasher takes 0.3 s a login; the hashed names of static files need collectstatic.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = STORAGES | {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
}
# Nothing is collected for a test: the live server takes static files from where they lie.
STATIC_ROOT = None  # type: ignore[assignment]
