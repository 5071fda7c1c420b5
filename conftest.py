"""For every test of the project."""

import hypothesis

# Two cores that also run engines and browsers: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")
