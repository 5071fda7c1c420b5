"""A client without an engine: it records what would be sent."""

from types import SimpleNamespace

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import no_credentials
from clusters.engine.connection.endpoint import EngineEndpoint


class RecordedApi:
    """The SDK's request helpers. They record the last request in `sent`, and return or raise `answer`."""

    api_version = "1.41"
    _auth_configs = SimpleNamespace(creds_store=None)

    def __init__(self, answer):
        self.answer, self.sent = answer, {}

    def _url(self, path, *names):
        return path.format(*names)

    def _post_json(self, url, data, **options):
        self.sent = {"url": url, "data": data, **options}
        return SimpleNamespace(json=lambda: self.answer)

    def _get(self, url, **options):
        raise self.answer

    def _raise_for_status(self, answer):
        pass


def make_client(api, credentials=no_credentials):
    client = EngineClient.__new__(EngineClient)
    client.endpoint, client.address, client.api = EngineEndpoint("unix:///run/docker.sock"), "unix:///run/docker.sock", api
    client.credentials, client.withheld = credentials, {}
    return client
