"""The settings of ytops. What differs between installations comes from the environment or `.env`.

`.env.example` has a line on each variable.
"""

import json
import os
import re
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

django_stubs_ext.monkeypatch()  # ModelAdmin[Channel] and the like at run time

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
ENV_FILE = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if ENV_FILE.is_file():
    try:
        lines = ENV_FILE.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{ENV_FILE} cannot be read: {error.args[-1]}.") from None
    for number, line in enumerate(lines, 1):
        # environ would log a line that it cannot read, and with it a key.
        if line.strip() and not re.match(r"\s*(#|(export )?\w+=)", line):
            raise ImproperlyConfigured(f"{ENV_FILE}, line {number}: expected NAME=value.")
    env.read_env(StringIO("\n".join(lines)))


def boolean(name: str, *, default: bool) -> bool:
    meanings = {"1": True, "true": True, "yes": True, "on": True}
    meanings |= {"0": False, "false": False, "no": False, "off": False, "": default}
    text = os.environ.get(name, "").strip().lower()
    if text not in meanings:
        raise ImproperlyConfigured(f"{name} is {text!r}: expected on or off.")
    return meanings[text]


def whole_number(name: str, *, default: int, lowest: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= lowest):
        raise ImproperlyConfigured(f"{name} is {text!r}: expected a whole number from {lowest}.")
    return int(text)


def json_object(name: str) -> dict[str, Any]:
    try:
        value = json.loads(os.environ.get(name) or "{}")
    except ValueError:  # not quoted: it may hold a key
        value = None
    if not isinstance(value, dict):
        raise ImproperlyConfigured(
            f'{name} cannot be read: expected JSON such as {{"key": "value"}}.'
        )
    return value


def words(name: str, default: str = "") -> list[str]:
    # Not env.list(): it would take a value that begins with "$" for another variable's name.
    text = os.environ.get(name) or default
    return [word.strip() for word in text.split(",") if word.strip()]


def required(name: str, what: str) -> list[str]:
    values = words(name)
    if not values:
        raise ImproperlyConfigured(
            f"{name} is not set: {what}. Set it in the environment or in .env, which `make run` "
            "makes where there is none."
        )
    if any(character.isspace() for value in values for character in value):
        raise ImproperlyConfigured(f"{name} has white space inside: is it a key and a comment?")
    return values


def database(url: str) -> dict[str, Any]:
    """The DATABASES entry for a URL; a relative SQLite path counts from the project's folder."""
    scheme, separator, _ = url.partition("://")
    if scheme == "sqlite":
        name = url.removeprefix("sqlite://").removeprefix("/")
        if not name or name == ":memory:":
            raise ImproperlyConfigured("DATABASE_URL names no file: expected sqlite:///PATH.")
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(BASE_DIR / name),
            "OPTIONS": {
                # A transaction that reads and then writes cannot lose its lock half way.
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # A checkpoint waits for the disk: at 16 MB of changes, not at 4.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                "PRAGMA wal_autocheckpoint=4000",
            },
            "TEST": {"NAME": os.environ.get("TEST_SQLITE_FILE")},
        }
    if scheme in {"postgres", "postgresql"}:
        try:
            config: dict[str, Any] = env.db_url_config(url)
            if "@" in urlsplit(url).path:  # a "/" in the password ended it
                raise ValueError
        except ValueError:  # it quotes what it could not read: a part of the password, maybe
            raise ImproperlyConfigured(
                "DATABASE_URL cannot be read: expected postgresql://USER:PASSWORD@HOST:PORT/NAME, "
                "with / # ? @ : [ ] and % of the password written as %2F and so on."
            ) from None
        config["CONN_HEALTH_CHECKS"] = True
        options = config.setdefault("OPTIONS", {})
        if not config["NAME"]:
            raise ImproperlyConfigured(
                "DATABASE_URL names no database: expected postgresql://USER@HOST:PORT/NAME."
            )
        if "host" in options:  # ?host=/folder/of/a/socket; dbbackup looks at HOST alone
            config["HOST"] = options.pop("host")
        # Without a number ytops.db.sql could not have its statements prepared; Django sets none.
        options["prepare_threshold"] = 5
        # It gives up an attempt soon: its pauses between two grow, beyond the end of an outage.
        options["pool"] = {"min_size": 1, "max_size": 8, "timeout": 5, "reconnect_timeout": 2}
        return config
    # Nothing else of it is quoted: what is no scheme may be a part of the password.
    known = separator and re.fullmatch("[a-z0-9+]+", scheme)
    raise ImproperlyConfigured(
        f"DATABASE_URL {f'begins with {scheme!r}' if known else 'does not begin with a scheme'}: "
        "expected sqlite:///PATH or postgresql://…."
    )


SECRET_KEY = ",".join(required("SECRET_KEY", "Django signs sessions with it"))
FERNET_KEYS = required("FERNET_KEYS", "credentials are encrypted with it (newest key first)")
DEBUG = boolean("DEBUG", default=False)
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
DATABASES = {"default": database(os.environ.get("DATABASE_URL") or "sqlite:///var/ytops.sqlite3")}

# Modules whose handlers do the work of jobs, for `manage.py work`.
JOB_HANDLERS = words("JOB_HANDLERS")

# Behind a proxy that ends TLS; off for a server on one's own machine, as `make run` writes it.
HTTPS = boolean("HTTPS", default=True)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS

INSTALLED_APPS = [
    "ytops",
    "ytops.admin.apps.PagesConfig",
    "ytops.admin.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "dbbackup",
    "settings_app",
    "channels_app",
    "videos_app",
    "jobs_app",
    "stats_app",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "ytops.urls"
WSGI_APPLICATION = "ytops.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
DEFAULT_EXCEPTION_REPORTER_FILTER = "ytops.errors.SecretSafeFilter"

TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["ytops.formats"]

# The confirmation of a bulk deletion posts the key of every row: 10,000 at most, which is what
# ytops.admin.lists counts.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_100

# Where backups are kept, and in any case where they are made and proved.
BACKUP_DIR = BASE_DIR / (os.environ.get("BACKUP_DIR") or VAR_DIR / "backups")
BACKUP_STORAGE = os.environ.get("BACKUP_STORAGE", "")
BACKUP_RECIPIENTS = words("BACKUP_RECIPIENTS")
BACKUP_IDENTITY_FILE = os.environ.get("BACKUP_IDENTITY_FILE", "")
# In the names of backups; this host if not set.
BACKUP_SERVER = os.environ.get("BACKUP_SERVER", "")
BACKUP_KEEP = whole_number("BACKUP_KEEP", default=10, lowest=1)
BACKUP_MAX_AGE_HOURS = whole_number("BACKUP_MAX_AGE_HOURS", default=48, lowest=1)

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    "dbbackup": {
        "BACKEND": BACKUP_STORAGE or "django.core.files.storage.FileSystemStorage",
        "OPTIONS": json_object("BACKUP_STORAGE_OPTIONS")
        if BACKUP_STORAGE
        else {
            "location": BACKUP_DIR,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
FIXTURE_DIRS = [BASE_DIR / "fixtures"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # Every scanner that asks for another host: a line of the proxy's log, not a traceback.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # Its commands print their own lines.
        "dbbackup": {"propagate": False},
    },
}
