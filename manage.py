#!/usr/bin/env python
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from console.version import VERSION


def main() -> None:
    if sys.argv[1:] in (["--version"], ["version"]):
        print(f"Windlass {VERSION}")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(str(error))  # a wrong value of the environment: one sentence


if __name__ == "__main__":
    main()
