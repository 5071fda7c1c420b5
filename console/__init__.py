"""The project: settings, addresses, pages, processes and telemetry. It imports `triggers` and `clusters`, never the reverse."""
