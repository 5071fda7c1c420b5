"""Settings of the hook's peer: the console's database and server, and one view without middleware (bare_urls)."""

from console.settings import *  # noqa: F403

MIDDLEWARE = []
ROOT_URLCONF = "bare_urls"
