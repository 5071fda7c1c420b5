from console.telemetry.metrics import render_metrics
from console.telemetry.totals import store_totals


def read_samples() -> dict[str, float]:
    """Return the current values of /metrics by name and labels, as they are written there."""
    store_totals()
    lines = [line for line in render_metrics().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
