"""The console's settings for the tests: a data folder of their own, and a database that may forget."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_data = Path(tempfile.mkdtemp(prefix="windlass-tests-"))
os.environ["WINDLASS_DATA_DIR"] = str(_data)
atexit.register(shutil.rmtree, _data, ignore_errors=True)

from console.settings import *  # noqa: E402, F403
from console.settings import CHOSEN_HOSTS, DATABASES, STORAGES  # noqa: E402

CHOSEN_HOSTS.append("testserver")  # of Django's test client

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, since threads of a test share it as the processes of an installation do.
    DATABASES["default"]["TEST"] = {"NAME": str(_data / "tests.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
(_data / "static").mkdir()
for _folder in ("messages", "control"):
    (_data / "queue" / _folder).mkdir(parents=True)
