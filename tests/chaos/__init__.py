"""Crash trials: a call, a death in the middle of it, and a judge that looks only at the engine. See tests/README.md."""
