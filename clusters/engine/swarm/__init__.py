"""Swarm: what runs on it, and the driver of its stacks and services."""
