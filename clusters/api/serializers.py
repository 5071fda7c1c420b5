"""Clusters, applications and services as the API shows them."""

from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from rest_framework import serializers

from clusters.models import Application, Cluster, Service


def check_model(instance: Any) -> None:
    """The model's own rules as the API's errors, each under its field."""
    try:
        instance.clean()
    except ModelValidationError as error:
        raise serializers.ValidationError(serializers.as_serializer_error(error)) from error


class ClusterSerializer(serializers.ModelSerializer[Cluster]):
    tls_key = serializers.CharField(
        write_only=True, required=False, allow_blank=True, trim_whitespace=False, help_text="PEM; never shown again."
    )
    has_tls_key = serializers.SerializerMethodField()

    class Meta:
        model = Cluster
        fields = [
            *("id", "uid", "name", "url", "tls_ca", "tls_cert", "tls_key", "has_tls_key", "created_at"),
            *("status", "status_reason", "status_changed_at", "synced_at"),
            *("engine_id", "engine_version", "api_version", "hostname", "operating_system", "architecture"),
            *("cpus", "memory_bytes", "swarm_manager"),
        ]
        read_only_fields = fields[8:]

    def get_has_tls_key(self, cluster: Cluster) -> bool:
        return bool(cluster.tls_key)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        present = (
            {name: getattr(self.instance, name) for name in ("url", "tls_ca", "tls_cert", "tls_key")} if self.instance else {}
        )
        check_model(Cluster(**{**present, **attrs}))
        return attrs


class ConnectionTestSerializer(serializers.Serializer[Any]):
    """What answers at the cluster's address, or why nothing does."""

    reachable = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True, help_text="The exact reason when it is not reachable.")
    reason = serializers.CharField(allow_blank=True, help_text="The same as a word for machines.")
    engine_version = serializers.CharField(required=False)
    api_version = serializers.CharField(required=False)
    operating_system = serializers.CharField(required=False)
    swarm_role = serializers.CharField(required=False, allow_blank=True, help_text="manager, worker or empty.")


class ApplicationSerializer(serializers.ModelSerializer[Application]):
    class Meta:
        model = Application
        fields = [
            *("id", "cluster", "name", "source", "status", "wanted", "running"),
            *("system", "protected", "created_at", "updated_at"),
        ]
        read_only_fields = fields


class ServiceSerializer(serializers.ModelSerializer[Service]):
    image_digests = serializers.ListField(child=serializers.CharField(), read_only=True)
    ports = serializers.ListField(child=serializers.DictField(), read_only=True)

    class Meta:
        model = Service
        fields = [
            *("id", "application", "name", "status", "mode", "replicas", "running"),
            *("image", "image_id", "image_digests", "ports", "health"),
        ]
        read_only_fields = fields
