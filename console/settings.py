"""The settings. Every value that an operator can choose comes from the environment (docs/operate.md lists them)."""

import base64
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError
from console import env
from console.broker_tls import split_tls
from console.telemetry.log_lines import build_logging

BASE_DIR = Path(__file__).resolve().parent.parent
DOCUMENTS = BASE_DIR / "docs"  # what the help shows
DATA_DIR = Path(env.read_text("WINDLASS_DATA_DIR", str(BASE_DIR / "var"))).resolve()

HOST = env.read_text("WINDLASS_HOST", "127.0.0.1")
PORT = env.read_integer("WINDLASS_PORT", 8000, 1, 65535)
PUBLIC_URL = env.read_url("WINDLASS_PUBLIC_URL", {"http", "https"}, needs_host=True)
# A path of the public address, under which everything is. A proxy may remove it or leave it (console/server/environ.py).
OWN_PATHS = (
    *("account", "activity", "admin", "api", "applications", "audit", "calls", "clusters", "containers", "deliveries"),
    *("freezes", "grants", "healthz", "help", "hook", "images", "login", "logout", "metrics", "nodes", "notifications"),
    *("password", "readyz", "registries", "search", "services", "sign-in", "static", "theme", "triggers", "users"),
)
PREFIX = env.find_prefix("WINDLASS_PUBLIC_URL", PUBLIC_URL, OWN_PATHS)
FORCE_SCRIPT_NAME = PREFIX or None
DOCKER_HOST = env.read_url("DOCKER_HOST", {"unix", "tcp", "ssh"}, "unix:///var/run/docker.sock")
try:
    EngineEndpoint(DOCKER_HOST).validate()
except EngineError as error:
    raise ImproperlyConfigured(f"DOCKER_HOST is not the address of an engine. {error.message}") from error

# The sockets of this host that a cluster's address may name, as paths or patterns. The engines that the environment itself
# names always belong to them.
ENGINE_SOCKETS = env.read_path_list("WINDLASS_ENGINE_SOCKETS")
if not ENGINE_SOCKETS:
    ENGINE_SOCKETS = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"]
    _runtime_dir = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"  # of engines without root
    ENGINE_SOCKETS += [f"{_runtime_dir}/docker.sock", f"{_runtime_dir}/podman/podman.sock"]
if env.read_text("DOCKER_HOST") and urlsplit(DOCKER_HOST).scheme == "unix":
    ENGINE_SOCKETS += [urlsplit(DOCKER_HOST).path]
ENGINE_SOCKETS += [str(DATA_DIR / "engine" / "docker.sock")]  # of the private engine
PASSED_VARIABLES = env.read_variable_names("WINDLASS_PASS_ENVIRONMENT")  # of ssh and credential helpers, besides the usual

LOGGING = build_logging(
    env.read_choice("WINDLASS_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    env.read_choice("WINDLASS_LOG_FORMAT", ("AUTO", "LOGFMT", "JSON"), "AUTO"),
)
METRICS_TOKEN = env.read_header_token("WINDLASS_METRICS_TOKEN", 16)  # opens /metrics; if empty, only users can read it
SAMPLE = env.read_boolean("WINDLASS_SAMPLE", True)  # start the sample application on an empty engine
DEBUG = env.read_boolean("WINDLASS_DEBUG", False)
SECRET_KEY = env.read_or_create_secret("WINDLASS_SECRET_KEY", DATA_DIR / "secret.key")
ENCRYPTION_KEY = env.read_or_create_secret(
    "WINDLASS_ENCRYPTION_KEY", DATA_DIR / "encryption.key", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode()
)
OLD_ENCRYPTION_KEYS = env.read_list("WINDLASS_OLD_ENCRYPTION_KEYS")  # only for reading what they encrypted
for _key in (ENCRYPTION_KEY, *OLD_ENCRYPTION_KEYS):
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", _key):
        _name = "WINDLASS_ENCRYPTION_KEY" if _key == ENCRYPTION_KEY else "A key in WINDLASS_OLD_ENCRYPTION_KEYS"
        raise ImproperlyConfigured(f"{_name} must be 32 bytes in URL-safe base64 (a Fernet key).")

# Hosts that requests can name. console.hosts refuses all others but addresses of this machine and of private networks, which
# Django's own setting cannot express.
PUBLIC_HOST = env.write_host(urlsplit(PUBLIC_URL).hostname or "")
CHOSEN_HOSTS = [
    *env.read_host_list("WINDLASS_ALLOWED_HOSTS"),
    *filter(None, (PUBLIC_HOST, env.write_host(HOST), socket.gethostname().lower())),
    *("localhost", ".localhost", "127.0.0.1", "[::1]"),
]
ALLOWED_HOSTS = ["*"]
CSRF_FAILURE_VIEW = "console.origins.refuse_form"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL.removesuffix(PREFIX)] if PUBLIC_URL else []
HTTPS = urlsplit(PUBLIC_URL).scheme == "https"
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Browsers take a cookie of such a name only from this host by HTTPS, not from another host below the same domain.
# They have the path /, so a console below a prefix has names of its own: others may be on the same host.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = (
    f"{'__Host-' if HTTPS else ''}{PREFIX.removeprefix('/').replace('/', '~')}{'-' if PREFIX else ''}{name}"
    for name in ("sessionid", "csrftoken")
)
SESSION_ENGINE = "console.sessions"
SESSION_COOKIE_AGE = (
    env.read_integer("WINDLASS_SESSION_DAYS", 7, 1, 365) * 24 * 3600
)  # from the sign-in, however much it is used
SESSION_IDLE_SECONDS = env.read_integer("WINDLASS_SESSION_IDLE_HOURS", 12, 1, 8760) * 3600
SSO_SESSION_SECONDS = env.read_integer("WINDLASS_SSO_SESSION_HOURS", 12, 1, 8760) * 3600  # after a sign-in by a provider
STRANGERS_SESSIONS = 10_000  # rows of sessions without a user
# The proxy redirects to https. Rules for other subdomains are not the console's to set.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SILENCED_SYSTEM_CHECKS += ["axes.W002"]  # the sign-in page answers a lock itself, so links pass no further middleware
# Other sites get no referrer. With "no-referrer" browsers would send our own forms with `Origin: null`, which CSRF refuses.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Addresses or networks whose X-Forwarded-For is trusted.
TRUSTED_PROXIES = env.read_network_list("WINDLASS_TRUSTED_PROXIES")

INSTALLED_APPS = [
    "console.apps.ConsoleConfig",
    "triggers.apps.TriggersConfig",
    "clusters.apps.ClustersConfig",
    "console.apps.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",  # tokens of the old kind, which are made no more
    "knox",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.mfa",
    "axes",
    "drf_spectacular",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "console.telemetry.request_log.RequestLogMiddleware",
    "console.hosts.ChosenHosts",
    "clusters.access.refusals.RecordRefusals",
    "console.pages.shared.page_middleware.PageCaching",
    "console.pages.shared.page_middleware.PagePolicy",
    "console.pages.shared.page_middleware.PageSessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "console.pages.shared.page_middleware.PageUsers",
    "allauth.account.middleware.AccountMiddleware",
    "console.pages.account.first_password.FirstPasswords",
    "console.pages.account.required_factors.RequiredFactors",
    "console.pages.shared.page_middleware.PageMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "console.pages.shared.selection.RememberCluster",
]

ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.pages.shared.context.navigation",
            ],
            "libraries": {"administration": "console.administration.tags"},
        },
    }
]

DATABASE_CONNECTIONS = env.read_integer("WINDLASS_DATABASE_CONNECTIONS", 24, 4, 1000)  # to PostgreSQL, per process
DATABASE_URL = env.read_url("DATABASE_URL", {"sqlite", "postgres", "postgresql"}, f"sqlite:///{DATA_DIR / 'windlass.sqlite3'}")
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=600, conn_health_checks=True)}
DATABASES["default"]["PASSWORD"] = DATABASES["default"]["PASSWORD"] or env.read_text("DATABASE_PASSWORD")
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    # Hundreds of threads can wait for calls. They share these connections instead of holding one each. A server that no longer
    # exists must not hold them: TCP alone would notice that after a quarter of an hour, or after two hours.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,  # seconds, as those of keepalives
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,  # milliseconds
        **DATABASES["default"].get("OPTIONS", {}),
        "pool": {"min_size": 1, "max_size": DATABASE_CONNECTIONS, "timeout": 5},
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = env.read_url("BROKER_URL", {"filesystem", "redis", "rediss", "amqp", "amqps"}, "filesystem://")
CELERY_BROKER_URL, CELERY_BROKER_USE_SSL = split_tls(BROKER_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "windlass"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_TIMEOUT = 2  # seconds
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = (
    {"socket_connect_timeout": 2, "socket_timeout": 5} if "redis" in BROKER_URL else {}
)
if BROKER_URL.startswith("filesystem:"):
    QUEUE_DIR = DATA_DIR / "queue"
    CELERY_BROKER_URL = "filesystem://localhost"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(QUEUE_DIR / "messages"),
        "data_folder_out": str(QUEUE_DIR / "messages"),
        "control_folder": str(QUEUE_DIR / "control"),
    }

AUTHENTICATION_BACKENDS = [
    "console.pages.account.throttle.ThrottleBackend",  # first: whoever is locked out costs no password check
    "clusters.access.AllClustersBackend",
    "clusters.access.ClusterGrantBackend",
]
LOCAL_LOGIN = env.read_choice("WINDLASS_LOCAL_LOGIN", ("EVERYBODY", "SUPERUSERS", "NOBODY"), "EVERYBODY").lower()
AXES_HANDLER = "console.pages.account.throttle.FailureHandler"  # has the limits; see console/sign_in_locks.py
AXES_CLIENT_IP_CALLABLE = "console.pages.account.throttle.find_caller"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_ENABLE_ADMIN = AXES_VERBOSE = False
SIGN_IN_FAILURES = 20_000  # rows
PASSWORD_LENGTH = 12  # of a new one, at least
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": PASSWORD_LENGTH},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "console.pages.account.first_password.FirstPasswordEnds"},
    {"NAME": "console.pages.account.sign_ins.SessionsEnd"},
]
ACCOUNT_ADAPTER = "console.pages.account.adapter.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*"]
ACCOUNT_RATE_LIMITS = False  # failed sign-ins are limited for all processes together, and with the admin's
# Identities of providers are allauth's rows; the protocol is console.identity's. No token of a provider is stored.
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
OIDC = env.read_oidc()  # the provider of the environment; without an issuer there is none
ACCOUNT_LOGIN_TIMEOUT = 600  # seconds between the password and the second factor
MFA_ADAPTER = "console.factors.adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_RECOVERY_CODE_DIGITS = 10
# Who must have a second factor.
SECOND_FACTOR = env.read_choice("WINDLASS_SECOND_FACTOR", ("NOBODY", "ADMINISTRATORS", "EVERYBODY"), "NOBODY").lower()
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = f"{PREFIX}/static/"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "console.pages.shared.style_sheet.StyleSheetFinder",
]
STATIC_ROOT = Path(env.read_text("WINDLASS_STATIC_DIR", str(DATA_DIR / "static"))).resolve()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

WHITENOISE_KEEP_ONLY_HASHED_FILES = True  # halves the work of the first start
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "png", "jpg", "gif", "ico", "woff", "woff2")

# No inline script, no inline style, no eval, nothing from other sites.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

KNOX_TOKEN_MODEL = "clusters.ApiToken"  # noqa: S105 - a model
REST_KNOX = {"TOKEN_PREFIX": "wl_", "AUTH_HEADER_PREFIX": "Bearer"}
MIGRATION_MODULES = {"knox": None}  # its migrations would make a table that nothing uses

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "clusters.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 100,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Windlass",
    "DESCRIPTION": "Redeploy and scale containers. Read clusters, applications, triggers, calls and deliveries.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SERVERS": [{"url": PREFIX}] if PREFIX else [],
    "ENUM_NAME_OVERRIDES": {
        "ClusterStatusEnum": "clusters.models.Cluster.Status",
        "ApplicationStatusEnum": "clusters.models.Application.Status",
        "ApplicationSourceEnum": "clusters.models.Application.Source",
        "TriggerCallSourceEnum": "triggers.models.TriggerCall.Source",
        "ChannelKindEnum": "triggers.models.ChannelKind",
        "KindEnum": "clusters.models.Registry.Kind",
        "DeliverySourceEnum": "triggers.models.Delivery.Source",
        "TriggerActionEnum": "triggers.models.TRIGGER_CHOICES",
        "TriggerCallActionEnum": "triggers.models.Action",
        "WeekdayEnum": "triggers.api.freezes.WORDS",
    },
}

# The hook
HOOK_BODY_LIMIT = 2 * 1024 * 1024  # bytes
DATA_UPLOAD_MAX_MEMORY_SIZE = HOOK_BODY_LIMIT
LINK_PAGE = env.read_boolean("WINDLASS_LINK_PAGE", True)  # a browser that opens a link gets a page, and nothing is called
HOOK_QUEUE_LIMIT = env.read_integer("WINDLASS_QUEUE_LIMIT", 10_000, 1, 1_000_000)  # queued calls of all triggers
HOOK_TRIGGER_QUEUE_LIMIT = env.read_integer("WINDLASS_TRIGGER_QUEUE_LIMIT", 1_000, 1, 1_000_000)  # of one trigger

# What can hold a thread of a web process for long. Whatever is slow, 32 threads are left for links and pages.
HOOK_WAITERS = 224  # callers with wait=
WAITING_REQUESTS = 64  # requests that wait for engines and registries
WAITING_REQUESTS_FOR_EACH = 16  # for the same cluster or registry
DOWNLOADS = 16  # answers that are sent while they are read: exports and logs as files
DOWNLOADS_FOR_EACH = 4  # to the same user
SIGN_INS = 16  # sign-ins that wait until the passwords before theirs are checked
REQUEST_THREADS = HOOK_WAITERS + WAITING_REQUESTS + DOWNLOADS + SIGN_INS + 32

# Calls
CALL_LEASE_SECONDS = env.read_integer("WINDLASS_LEASE_SECONDS", 15, 2, 600)
CALL_LIMIT_SECONDS = env.read_integer("WINDLASS_CALL_LIMIT_SECONDS", 3600, 10, 86_400)
CALL_RETENTION_DAYS = env.read_integer("WINDLASS_CALL_RETENTION_DAYS", 90, 1, 3650)
AUDIT_RETENTION_DAYS = env.read_integer("WINDLASS_AUDIT_RETENTION_DAYS", 365, 1, 3650)
DELIVERY_RETENTION_DAYS = env.read_integer("WINDLASS_DELIVERY_RETENTION_DAYS", 30, 1, 3650)
DELIVERY_RETENTION_COUNT = env.read_integer("WINDLASS_DELIVERY_RETENTION_COUNT", 10_000, 100, 10_000_000)
EVIDENCE_RETENTION_COUNT = env.read_integer("WINDLASS_EVIDENCE_RETENTION_COUNT", 5_000, 10, 1_000_000)  # up to 64 kB each
CALL_RETENTION_COUNT = env.read_integer("WINDLASS_CALL_RETENTION_COUNT", 1_000_000, 100, 100_000_000)
NOTIFICATION_RETENTION_DAYS = env.read_integer("WINDLASS_NOTIFICATION_RETENTION_DAYS", 30, 1, 3650)
NOTIFICATION_RETENTION_COUNT = env.read_integer("WINDLASS_NOTIFICATION_RETENTION_COUNT", 10_000, 100, 10_000_000)
NOTIFY_PRIVATE_NETWORKS = env.read_boolean("WINDLASS_NOTIFY_PRIVATE_NETWORKS", True)  # whether messages may go there
STOP_GRACE_SECONDS = env.read_integer("WINDLASS_STOP_GRACE_SECONDS", 10, 0, 3600)  # console/process/supervisor.py reads it too
WORKER_THREADS = env.read_integer("WINDLASS_WORKER_THREADS", 16, 1, 256)
# Calls of one cluster that run at a time, over all workers: an engine that hangs must not take every thread.
CLUSTER_CALLS = env.read_integer("WINDLASS_CLUSTER_CALLS", 8, 1, 256)

if not re.fullmatch(r"[A-Za-z0-9.:_-]+|\[[0-9a-fA-F:]+\]", HOST):
    raise ImproperlyConfigured(f"WINDLASS_HOST is {HOST!r}. It must be an IP address or a host name.")
