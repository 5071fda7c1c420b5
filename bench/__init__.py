"""Benchmarks that compare Windlass with a peer in the same run. Django uses the settings of the tests."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()
