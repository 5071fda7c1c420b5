"""The steps that `manage.py up` takes before the parts start. Each is quick if there is nothing to do."""

import fcntl
import hashlib
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.contrib.staticfiles.finders import get_finders
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from clusters.access.audit import record
from clusters.models import Application, Cluster
from console import env
from console.database_version import explain_misfit
from console.models import FirstPassword
from console.process import private_engine

ADMIN = "admin"
LOCAL_CLUSTER = "local"
DEFAULT_SOCKET = Path("/var/run/docker.sock")
DEFAULT_URL = f"unix://{DEFAULT_SOCKET}"
ENGINE_DIR = settings.DATA_DIR / "engine"
PRIVATE_URL = f"unix://{private_engine.socket_path(ENGINE_DIR)}"

# Assets of packages that no page uses.
UNUSED_STATIC = ("rest_framework",)


class PreparationError(Exception):
    """The console cannot start. The message is one line that says why and what to do."""


@dataclass(frozen=True)
class EngineChoice:
    """The local engine's address, a remark about it for the operator, and whether `up` must start a private engine."""

    url: str
    remark: str = ""
    private: bool = False


def make_data_directory() -> None:
    try:
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("messages", "control"):
            (settings.DATA_DIR / "queue" / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PreparationError(
            f"The data folder {settings.DATA_DIR} cannot be created: {error.strerror}. Choose another with WINDLASS_DATA_DIR."
        ) from error


def lock_data_directory() -> int:
    """Lock the data folder and return the lock's descriptor, which stays valid across exec. Raises PreparationError if another
    console has the lock."""
    descriptor = os.open(settings.DATA_DIR / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise PreparationError(
            f"Another console is running in the data folder {settings.DATA_DIR}. "
            "Stop it, or choose another folder with WINDLASS_DATA_DIR."
        ) from error
    os.set_inheritable(descriptor, True)
    return descriptor


def check_listen_address() -> None:
    """Raise PreparationError if the console cannot listen at its address."""
    host = settings.HOST.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, settings.PORT, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise PreparationError(
            f"The console cannot listen on {host}, port {settings.PORT}: {error.strerror}. "
            "Choose another address with WINDLASS_PORT or WINDLASS_HOST."
        ) from error


def console_url() -> str:
    if settings.PUBLIC_URL:
        return f"{settings.PUBLIC_URL}/"
    host = settings.HOST.strip("[]")
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{settings.PORT}/"


def migrate_database() -> None:
    """Apply all migrations. Raises PreparationError if the database cannot be used, or is too new."""
    # This process needs one connection, and its error at once: a pool would retry for a while and hide the reason.
    connection.settings_dict.get("OPTIONS", {}).pop("pool", None)
    try:
        if misfit := explain_misfit():
            raise PreparationError(misfit)
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PreparationError(f"The database cannot be used: {reason}") from error


def collect_static_files() -> None:
    """Copy the pages' CSS and JavaScript to STATIC_ROOT if any of them changed. A folder that the operator chose is not
    touched: in an image it is filled already, and read-only."""
    if settings.STATIC_ROOT != settings.DATA_DIR / "static":
        return
    stamp = settings.DATA_DIR / "static.stamp"
    fingerprint = fingerprint_static_files()
    if (settings.STATIC_ROOT / "staticfiles.json").exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return
    call_command("collectstatic", interactive=False, verbosity=0, clear=True, ignore_patterns=list(UNUSED_STATIC))
    stamp.write_text(fingerprint)


def fingerprint_static_files() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list(UNUSED_STATIC):
            status = os.stat(storage.path(path))
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def create_admin() -> str | None:
    """Create the user `admin` if there are no users. Returns the text to print as the password, or None if there are users
    already or another host creates the user at this moment. A generated password must be changed at the first sign-in. Raises
    PreparationError if the given one is too weak."""
    given = env.read_text("WINDLASS_ADMIN_PASSWORD")
    users = get_user_model().objects
    if users.exists():
        return None
    if given:
        try:
            validate_password(given)
        except ValidationError as error:
            raise PreparationError(f"WINDLASS_ADMIN_PASSWORD cannot be used. {' '.join(error.messages)}") from error
    password = given or secrets.token_urlsafe(12)
    try:
        with transaction.atomic():
            admin = users.create_superuser(ADMIN, email="", password=password)
            if not given:
                FirstPassword.objects.create(user=admin)
            record(None, "user.add", admin, actor="first start", superuser=True)
    except IntegrityError:
        return None
    return "the one in WINDLASS_ADMIN_PASSWORD" if given else password


def choose_engine() -> EngineChoice | None:
    """Return the engine to register as the cluster `local`, or None if the operator has chosen the clusters."""
    local = Cluster.objects.filter(name=LOCAL_CLUSTER).first()
    if Cluster.objects.exists() and (local is None or local.url not in {DEFAULT_URL, PRIVATE_URL}):
        return None
    if env.read_text("DOCKER_HOST"):
        return EngineChoice(settings.DOCKER_HOST)
    silence = private_engine.describe_silence(DEFAULT_SOCKET)
    if not silence:
        return EngineChoice(DEFAULT_URL)
    problem = f"No Docker engine answers at {DEFAULT_URL} ({silence})"
    if obstacle := private_engine.find_obstacle():
        remark = f"{problem}. {obstacle}. Until an engine answers, the cluster {LOCAL_CLUSTER} is shown as unreachable."
        return EngineChoice(DEFAULT_URL, remark)
    remark = f"{problem}. Starting a private one in {ENGINE_DIR}. It and its containers stop with the console."
    return EngineChoice(PRIVATE_URL, remark, private=True)


def register_local_cluster(url: str) -> None:
    """Create the cluster `local`, or point it to `url`."""
    values = {"url": url, **read_environment_certificates(url)}
    Cluster.objects.update_or_create(name=LOCAL_CLUSTER, defaults=values)


def read_environment_certificates(url: str) -> dict[str, str]:
    """Return the certificates in DOCKER_CERT_PATH by the cluster's field, if `url` is tcp:// and DOCKER_TLS_VERIFY is set.
    Otherwise there are none. Raises ImproperlyConfigured if a certificate cannot be read."""
    values: dict[str, str] = {}
    folder = os.environ.get("DOCKER_CERT_PATH", "")
    if url.startswith("tcp:") and os.environ.get("DOCKER_TLS_VERIFY") and folder:
        try:
            for field, name in (("tls_ca", "ca.pem"), ("tls_cert", "cert.pem"), ("tls_key", "key.pem")):
                values[field] = Path(folder, name).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(
                f"DOCKER_CERT_PATH is {folder!r}, but a certificate in it cannot be read: {error}."
            ) from error
    return values


def has_applications() -> bool:
    """Return whether the inventory shows any application, as seen when the console was last up."""
    return Application.objects.exclude(status=Application.Status.ABSENT).exists()
