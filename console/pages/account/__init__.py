"""Signing in, and what users choose for themselves."""
