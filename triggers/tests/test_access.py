import pytest
from django.contrib.auth.models import User

from clusters.access import scope
from clusters.models import Application, Cluster, Container, Service
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, ServiceFactory
from clusters.tests.users import make_user
from triggers.models import Trigger, TriggerCall
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [Cluster, Application, Service, Container, Trigger, TriggerCall])
def test_lists_are_limited_to_the_clusters_that_the_user_can_see(model, django_assert_num_queries):
    for cluster in (mine := ClusterFactory(), ClusterFactory()):
        application = ApplicationFactory(cluster=cluster)
        ContainerFactory(service=ServiceFactory(application=application))
        TriggerCallFactory(trigger=TriggerFactory(application=application))
    user = make_user("eve", Role.VIEWER, mine)
    permission = f"{model._meta.app_label}.view_{model._meta.model_name}"
    seen = scope(model.objects.all(), user, permission)
    assert 0 < seen.count() < model.objects.count()
    assert all(user.has_perm(permission, row) for row in seen)
    root = User.objects.create_superuser("root")
    with django_assert_num_queries(0):
        everything = scope(model.objects.all(), root, permission)
    assert everything.count() == model.objects.count()
