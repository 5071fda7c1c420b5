"""The image's health check: does the console in this container answer? It does not use Django, as it runs every few seconds."""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT = 4.0  # seconds


def probe(port: str) -> str:
    """Return what is wrong, or empty text if the console answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT):  # noqa: S310
            return ""
    except (urllib.error.URLError, OSError) as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(probe(os.environ.get("WINDLASS_PORT", "") or "8000") or 0)
