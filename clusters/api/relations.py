"""Fields of the API that a form-encoded request can leave out, as a JSON one can: lists of ids, and a box."""

from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework import serializers
from rest_framework.fields import empty

from clusters.access import visible_clusters
from clusters.models import Cluster, Registry

SEEN = "clusters_seen"  # the attribute of a registry with its clusters that the user may see


class OptionalBoolean(serializers.BooleanField):
    """A boolean whose absence does not mean false."""

    default_empty_html = empty


class OptionalIds(serializers.ManyRelatedField):
    """Ids whose absence does not mean an empty list."""

    def get_value(self, dictionary: Any) -> Any:
        return super().get_value(dictionary) if self.field_name in dictionary else empty


class VisibleCluster(serializers.PrimaryKeyRelatedField[Cluster]):
    """The id of a cluster that the user may see."""

    def get_queryset(self) -> QuerySet[Cluster]:
        return visible_clusters(self.context["request"].user)


class VisibleClusterIds(OptionalIds):
    """The ids of a registry's clusters that the user may see. A list of registries reads them with `prefetch_for`."""

    def get_attribute(self, instance: Registry) -> Any:
        if (prefetched := getattr(instance, SEEN, None)) is not None:
            return prefetched
        return select_ids(self.context["request"].user).filter(registries=instance)


def select_ids(user: Any) -> QuerySet[Cluster]:
    return visible_clusters(user).only("pk").order_by("pk")


def prefetch_for(user: Any) -> Any:
    return Prefetch("clusters", queryset=select_ids(user), to_attr=SEEN)
