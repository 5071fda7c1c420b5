"""Trusted jobs: build jobs that call a link with an identity token of their host instead of a secret."""
