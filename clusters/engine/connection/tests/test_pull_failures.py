import pytest

from clusters.engine.connection.pull_failures import classify_pull_failure


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("pull access denied for app, repository does not exist or may require 'docker login': denied", "pull_unauthorized"),
        ("Get https://r/v2/: no basic auth credentials", "pull_unauthorized"),
        ("manifest for localhost:5000/app:9 not found: manifest unknown: manifest unknown", "pull_not_found"),
        ("toomanyrequests: You have reached your pull rate limit.", "pull_rate_limited"),
        ('Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', "pull_failed"),
        ("no space left on device", "pull_failed"),
        ('Get "http://127.0.0.1:42901/v2/": dial tcp 10.0.0.1:429: connect: connection refused', "pull_failed"),
        ('Get "http://r:401/v2/": EOF', "pull_failed"),
        ('Get "https://denied.example/v2/rate limit/": EOF', "pull_failed"),
        ("Head https://r/v2/app/manifests/1: unexpected status code 429", "pull_rate_limited"),
        ("error parsing HTTP 403 response body: invalid character '<'", "pull_unauthorized"),
        ('unknown: {"errors":[{"code":"DENIED","detail":"repository:team/app:pull"}]}', "pull_unauthorized"),
        ('denied: Permission "downloadArtifacts" denied on resource "app"', "pull_unauthorized"),
        ("dial tcp: lookup registry.example on 10.0.0.2:53: no such host", "pull_failed"),
        ("open /var/lib/docker/tmp/GetImageBlob12: no such file or directory", "pull_failed"),
        ("mkdir /var/lib/docker/tmp: permission denied", "pull_failed"),
    ],
)
def test_pull_failures_are_told_apart(message, code):
    error = classify_pull_failure("app:1", message)
    assert error.code == code
    assert error.message.startswith("app:1 could not be pulled: ")


WHY = "The credentials stored for r may not go to cluster c."


@pytest.mark.parametrize(
    ("message", "end"),
    [
        ("no basic auth credentials", f"no basic auth credentials. {WHY}"),
        ("manifest unknown", f"manifest unknown. Check the image's name, and that this tag was pushed. {WHY}"),
        ("toomanyrequests", f"toomanyrequests. Wait, or store credentials with a higher limit for its registry. {WHY}"),
        ("no space left on device", "no space left on device."),
    ],
)
def test_why_credentials_were_withheld_is_said_where_they_might_have_helped(message, end):
    error = classify_pull_failure("app:1", message, withheld=WHY)
    assert error.message == f"app:1 could not be pulled: {end}"
    assert error.withheld == WHY
