"""Clusters with their nodes, applications and services with their tasks, as the API shows them."""

from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from rest_framework import serializers

from clusters.models import Application, Cluster, Node, Service, Task


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
            *("name", "url", "other_urls", "tls_ca", "tls_cert", "tls_key"),
            *("id", "uid", "has_tls_key", "created_at"),
            *("status", "status_reason", "status_changed_at", "synced_at"),
            *("engine_id", "engine_version", "api_version", "hostname", "operating_system", "architecture"),
            *("cpus", "memory_bytes", "swarm_manager", "swarm_notice"),
        ]
        read_only_fields = fields[6:]

    def get_has_tls_key(self, cluster: Cluster) -> bool:
        return bool(cluster.tls_key)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        settings = ("url", "other_urls", "tls_ca", "tls_cert", "tls_key")
        present = {name: getattr(self.instance, name) for name in settings} if self.instance else {}
        check_model(Cluster(**{**present, **attrs}))
        return attrs

    def update(self, instance: Cluster, validated_data: dict[str, Any]) -> Cluster:
        """What was said about the former addresses is forgotten."""
        return super().update(instance, {**validated_data, "swarm_notice": ""})


class AddressTestSerializer(serializers.Serializer[Any]):
    """What is at one of several addresses."""

    address = serializers.CharField()
    swarm_role = serializers.CharField(allow_blank=True, help_text="manager, worker or empty.")
    problem = serializers.CharField(allow_blank=True, help_text="Why it is of no use as one of this Swarm's managers.")


class ConnectionTestSerializer(serializers.Serializer[Any]):
    """What answers at the cluster's address, or why nothing does."""

    reachable = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True, help_text="The exact reason when it is not reachable.")
    reason = serializers.CharField(allow_blank=True, help_text="The same as a word for machines.")
    engine_version = serializers.CharField(required=False)
    api_version = serializers.CharField(required=False)
    operating_system = serializers.CharField(required=False)
    swarm_role = serializers.CharField(required=False, allow_blank=True, help_text="manager, worker or empty.")
    addresses = AddressTestSerializer(many=True, required=False, help_text="Where the cluster has several.")


class NodeSerializer(serializers.ModelSerializer[Node]):
    labels = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Node
        fields = [
            *("node_id", "hostname", "address", "role", "leader", "reachability", "availability"),
            *("state", "state_message", "engine_version", "operating_system", "architecture"),
            *("cpus", "memory_bytes", "labels", "task_count"),
        ]
        read_only_fields = fields


class ApplicationSerializer(serializers.ModelSerializer[Application]):
    class Meta:
        model = Application
        fields = [
            *("id", "cluster", "name", "source", "status", "wanted", "running"),
            *("system", "protected", "created_at", "updated_at"),
        ]
        read_only_fields = fields


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = [
            *("task_id", "slot", "node_id", "node_name", "state", "desired_state", "message", "error", "exit_code"),
            *("image", "container_id", "created_at", "updated_at"),
        ]
        read_only_fields = fields


class ServiceSerializer(serializers.ModelSerializer[Service]):
    image_digests = serializers.ListField(child=serializers.CharField(), read_only=True)
    ports = serializers.ListField(child=serializers.DictField(), read_only=True)
    update_config = serializers.DictField(read_only=True, help_text="Of a Swarm's service; delay and monitor in seconds.")
    rollback_config = serializers.DictField(read_only=True)

    class Meta:
        model = Service
        fields = [
            *("id", "application", "name", "status", "mode", "replicas", "running"),
            *("image", "image_id", "image_digests", "ports", "health"),
            *("swarm_id", "update_state", "update_message", "update_started_at", "last_error"),
            *("update_config", "rollback_config"),
        ]
        read_only_fields = fields


class ServiceDetailSerializer(ServiceSerializer):
    tasks = TaskSerializer(many=True, read_only=True, help_text="Of a Swarm's service: its tasks, and its slots' past ones.")

    class Meta(ServiceSerializer.Meta):
        fields = [*ServiceSerializer.Meta.fields, "tasks"]
        read_only_fields = fields
