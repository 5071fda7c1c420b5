"""The log panel of applications, services and containers."""
