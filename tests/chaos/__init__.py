"""Trials of crashes: a call, a death in the middle, and a judge who asks only the engine. See tests/README.md."""
