import pytest
from django.contrib.auth.models import User

from clusters.forms import ClusterForm
from clusters.models import Cluster
from clusters.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db


def fill(instance=None, **values):
    data = {"name": "swarm", "url": "tcp://10.77.0.11:2376", **values}
    return ClusterForm(data, instance=instance or Cluster(), user=User(is_superuser=True))


def test_each_other_address_has_its_own_error():
    form = fill(other_urls="tcp://10.77.0.12:2376\nhttp://10.77.0.13\n\n tcp://h:99999 ")
    assert form.errors == {
        "other_urls": [
            "http://10.77.0.13: The address must start with unix://, tcp:// or ssh://.",
            "tcp://h:99999: The port of the address must be a number from 0 to 65535.",
        ]
    }


def test_errors_of_the_first_address_and_of_the_others_stand_at_their_own_fields():
    assert set(fill(url="nowhere", other_urls="tcp://[::1").errors) == {"url", "other_urls"}
    assert set(fill(url="nowhere", other_urls="tcp://h2:2376").errors) == {"url"}


def test_addresses_are_stored_one_a_line():
    form = fill(other_urls="  tcp://h2:2376 tcp://h3:2376\r\n\r\ntcp://h2:2376")
    cluster = form.save()
    assert cluster.other_urls == "tcp://h2:2376\ntcp://h3:2376\ntcp://h2:2376"
    assert cluster.endpoint.addresses == ("tcp://10.77.0.11:2376", "tcp://h2:2376", "tcp://h3:2376")


def test_saving_discards_the_notice_about_the_previous_addresses():
    cluster = ClusterFactory(swarm_notice="node1 is no longer a Swarm manager.")
    fill(cluster).save()
    cluster.refresh_from_db()
    assert cluster.swarm_notice == ""
