"""Names in the order in which people read them, in Python and in both databases."""

import pytest

from clusters.models import Application
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, ServiceFactory
from console.pages.shared.natural_order import NaturalOrder, natural_key

ORDERED = ["10-first", "Alpha", "batch-job-2", "batch-job-10", "batch-job-10a", "batch-job-100", "beta", "v1.9.0", "v1.10.0"]
LONG = ["n" + "9" * 19, "n1" + "0" * 19]  # as many digits as count


def test_numbers_are_ordered_by_value_and_capitals_beside_small_letters():
    assert sorted(sorted(ORDERED), key=natural_key) == ORDERED
    assert sorted(LONG, key=natural_key) == LONG
    assert natural_key("job-007") == natural_key("JOB-7")


@pytest.mark.django_db
def test_the_database_orders_the_same():
    cluster = ClusterFactory()
    for name in reversed(ORDERED + LONG):
        ApplicationFactory(cluster=cluster, name=name)
    found = list(Application.objects.order_by(NaturalOrder("name")).values_list("name", flat=True))
    assert found == sorted(ORDERED + LONG, key=natural_key)


@pytest.mark.django_db
def test_lists_and_tabs_are_in_this_order(reader):
    cluster = ClusterFactory()
    shop = ApplicationFactory(cluster=cluster, name="shop-2")
    ApplicationFactory(cluster=cluster, name="shop-10")
    for number in (10, 2, 1):
        service = ServiceFactory(application=shop, name=f"web-{number}")
        ContainerFactory(service=service, name=f"shop-2-web-{number}")
    assert [row.name for row in reader.get("/applications/").context["page"]] == ["shop-2", "shop-10"]
    assert [row.name for row in reader.get("/applications/?sort=-name").context["page"]] == ["shop-10", "shop-2"]
    services = [row.name for row in reader.get(f"/services/?cluster={cluster.uid}").context["page"]]
    assert services == ["web-1", "web-2", "web-10"]
    assert [row.name for row in reader.get(f"/applications/{shop.pk}/").context["services"]] == services
    containers = reader.get(f"/applications/{shop.pk}/?tab=containers").context["containers"]
    assert [row.name for row in containers] == [f"shop-2-{name}" for name in services]
