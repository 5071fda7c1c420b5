"""Benchmarks: each compares Windlass with a peer in the same run. Django is set up with the settings of the tests."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
