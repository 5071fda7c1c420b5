"""The effective settings of services and containers, and revealing their secrets."""
