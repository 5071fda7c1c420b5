"""What operators watch: the log, request log, metrics, readiness and the probes' addresses."""
