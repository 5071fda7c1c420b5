"""The API's form of clusters with their nodes, registries, and applications and services with their tasks."""

from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied

from clusters.access import may_allow_credentials, may_choose_engines, visible_clusters
from clusters.addresses import accept_address, accept_addresses
from clusters.allowances import explain_plain, find_plain, list_default_clusters
from clusters.api.relations import OptionalBoolean, OptionalIds, VisibleCluster, VisibleClusterIds
from clusters.callers import public_base_url
from clusters.engine.errors import EngineError
from clusters.forms import CONNECTION_REFUSED
from clusters.models import Application, Cluster, Node, Registry, Service, Task
from clusters.registries import NOT_SEEN_YET
from clusters.registry_form import ALLOWING_REFUSED, CONSENT_REFUSED, may_keep_consent


def check_model(instance: Any) -> None:
    """Apply the model's own rules. Raises the API's ValidationError, with each problem under its field."""
    try:
        instance.clean()
    except ModelValidationError as error:
        raise serializers.ValidationError(serializers.as_serializer_error(error)) from error


class SecretField(serializers.CharField):
    """A secret: stored encrypted, exactly as given, and never shown."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(write_only=True, required=False, allow_blank=True, trim_whitespace=False, **kwargs)


class ClusterSerializer(serializers.ModelSerializer[Cluster]):
    tls_key = serializers.CharField(
        write_only=True, required=False, allow_blank=True, trim_whitespace=False, help_text="PEM; never shown again."
    )
    has_tls_key = serializers.SerializerMethodField()
    uses_docker_config = OptionalBoolean(
        required=False,
        help_text="Whether credentials from the Docker config of the console's user may go to its engine. Left out of a new "
        "cluster: true.",
    )
    registries = OptionalIds(
        child_relation=serializers.PrimaryKeyRelatedField(queryset=Registry.objects.all()),
        required=False,
        write_only=True,
        help_text="The ids of the registries whose credentials its engine may get. Left out of a new cluster: all. The "
        "registries show which clusters they are allowed for.",
    )

    class Meta:
        model = Cluster
        fields = [
            "name",
            "url",
            "other_urls",
            "tls_ca",
            "tls_cert",
            "tls_key",
            "uses_docker_config",
            "registries",
            "id",
            "uid",
            "has_tls_key",
            "created_at",
            "status",
            "status_reason",
            "status_changed_at",
            "synced_at",
            "engine_id",
            "engine_name",
            "engine_version",
            "api_version",
            "hostname",
            "operating_system",
            "architecture",
            "cpus",
            "memory_bytes",
            "swarm_manager",
            "swarm_notice",
        ]
        read_only_fields = fields[8:]

    def get_has_tls_key(self, cluster: Cluster) -> bool:
        return bool(cluster.tls_key)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse another connection from users who may not choose engines; spell and check the addresses of the others."""
        self._check_rights(attrs)
        present = {name: getattr(self.instance, name) for name in Cluster.CONNECTION} if self.instance else {}
        attrs |= self._spell_addresses(attrs, present)
        settings = present | {name: value for name, value in attrs.items() if name != "registries"}
        check_model(Cluster(**settings))
        return attrs

    def _check_rights(self, attrs: dict[str, Any]) -> None:
        user = self.context["request"].user
        changed = [name for name in Cluster.CONNECTION if name in attrs and not self._is_stored(name, attrs[name])]
        if changed and not may_choose_engines(user):
            raise PermissionDenied(CONNECTION_REFUSED)
        if "registries" in attrs and not may_allow_credentials(user):
            raise PermissionDenied(ALLOWING_REFUSED)

    def _is_stored(self, name: str, value: Any) -> bool:
        """Return whether the cluster has this value. Of the key, which is never shown, nothing is said."""
        return bool(self.instance and name != "tls_key" and getattr(self.instance, name) == value)

    def _spell_addresses(self, attrs: dict[str, Any], present: dict[str, Any]) -> dict[str, str]:
        known = (present["url"], *present["other_urls"].split()) if present else ()
        spelled, problems = {}, {}
        if "url" in attrs:
            try:
                spelled["url"] = accept_address(attrs["url"], known)
            except EngineError as error:
                problems["url"] = [error.message]
        if "other_urls" in attrs:
            spelled["other_urls"], wrong = accept_addresses(attrs["other_urls"], known)
            problems |= {"other_urls": wrong} if wrong else {}
        if problems:
            raise serializers.ValidationError(problems)
        return spelled

    def create(self, validated_data: dict[str, Any]) -> Cluster:
        registries = validated_data.pop("registries", None)
        if registries is None and may_allow_credentials(self.context["request"].user):
            registries = Registry.objects.all()
        cluster = super().create(validated_data)
        cluster.registries.set(registries or ())
        return cluster

    def update(self, instance: Cluster, validated_data: dict[str, Any]) -> Cluster:
        """Save the settings and discard the notice about the previous addresses."""
        registries = validated_data.pop("registries", None)
        cluster = super().update(instance, {**validated_data, "swarm_notice": ""})
        if registries is not None:
            cluster.registries.set(registries)
        return cluster


class AddressTestSerializer(serializers.Serializer[Any]):
    """The result of the test for one of several addresses."""

    address = serializers.CharField()
    swarm_role = serializers.CharField(allow_blank=True, help_text="manager, worker or empty.")
    problem = serializers.CharField(allow_blank=True, help_text="Why it cannot be used as a manager of this Swarm; else empty.")


class ConnectionTestSerializer(serializers.Serializer[Any]):
    """The engine that answers at the cluster's address, or the reason why none does."""

    reachable = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True, help_text="The exact reason if it is not reachable.")
    reason = serializers.CharField(allow_blank=True, help_text="The code of that reason.")
    engine_name = serializers.CharField(required=False, help_text="Docker or Podman.")
    engine_version = serializers.CharField(required=False)
    api_version = serializers.CharField(required=False)
    operating_system = serializers.CharField(required=False)
    swarm_role = serializers.CharField(required=False, allow_blank=True, help_text="manager, worker or empty.")
    addresses = AddressTestSerializer(many=True, required=False, help_text="Present if the cluster has several addresses.")


class RegistrySerializer(serializers.ModelSerializer[Registry]):
    """To refresh a token that expires, PATCH `password` and `password_expires_at`."""

    host = serializers.CharField(
        max_length=255, help_text="The host in image names, such as docker.io or registry.example.com:5000."
    )
    password = SecretField(max_length=20_000, help_text="A password or a token; never shown again.")
    signing_secret = SecretField(
        max_length=1000,
        help_text="The webhook's signing secret. If set, pushes without a valid signature are refused. Never shown again.",
    )
    clusters = VisibleClusterIds(
        child_relation=VisibleCluster(),
        required=False,
        help_text="The ids of the clusters whose engines may get the credentials. Left out of a new registry: all, except for "
        "those with a tcp:// address without TLS, which never get any.",
    )
    has_password = serializers.SerializerMethodField()
    has_signing_secret = serializers.SerializerMethodField()

    class Meta:
        model = Registry
        fields = [
            "host",
            "kind",
            "aliases",
            "username",
            "password",
            "password_expires_at",
            "credential_helper",
            "ca",
            "plain_http",
            "clear_text",
            "signing_secret",
            "clusters",
            "id",
            "has_password",
            "has_signing_secret",
            "created_at",
            "checked_at",
            "problem",
            "pull_limit",
            "pull_remaining",
            "pull_window_seconds",
        ]
        read_only_fields = fields[12:]

    def get_has_password(self, registry: Registry) -> bool:
        return bool(registry.password)

    def get_has_signing_secret(self, registry: Registry) -> bool:
        return bool(registry.signing_secret)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Normalise the hosts, so that the same registry cannot be stored twice."""
        if "clusters" in attrs:
            self._check_clusters(attrs["clusters"])
        chosen = [name for name, field in self.fields.items() if not field.read_only and name != "clusters"]
        present = {name: getattr(self.instance, name) for name in chosen} if self.instance else {}
        registry = Registry(**{**present, **{name: value for name, value in attrs.items() if name != "clusters"}})
        check_model(registry)
        self._check_hosts(registry, "password" in attrs)
        if registry.clear_text and not may_keep_consent(self.context["request"].user, registry, self.instance):
            raise PermissionDenied(CONSENT_REFUSED)
        named = {"host", "aliases"} | ({"clear_text"} if registry.clear_text != present.get("clear_text") else set())
        return attrs | {name: getattr(registry, name) for name in named if name in attrs or name == "clear_text"}

    def _check_clusters(self, chosen: list[Cluster]) -> None:
        if not may_allow_credentials(self.context["request"].user):
            raise PermissionDenied(ALLOWING_REFUSED)
        allowed = set(self.instance.clusters.values_list("pk", flat=True)) if self.instance else set()
        if plain := find_plain(cluster for cluster in chosen if cluster.pk not in allowed):
            raise serializers.ValidationError({"clusters": [explain_plain(plain)]})

    def _check_hosts(self, registry: Registry, has_new_password: bool) -> None:
        others = Registry.objects.exclude(pk=self.instance.pk) if self.instance else Registry.objects.all()
        if others.filter(host=registry.host).exists():
            raise serializers.ValidationError({"host": ["A registry with this host already exists."]})
        known = self.instance
        if known and known.password and not has_new_password and not set(registry.hosts) <= set(known.hosts):
            raise serializers.ValidationError(
                {"password": ["Give the password again: the stored one is never sent to a host that it was not given for."]}
            )

    def create(self, validated_data: dict[str, Any]) -> Registry:
        user = self.context["request"].user
        if "clusters" not in validated_data and may_allow_credentials(user):
            validated_data["clusters"] = list_default_clusters(visible_clusters(user))
        return super().create(validated_data)

    def update(self, instance: Registry, validated_data: dict[str, Any]) -> Registry:
        """Save the settings and discard what was seen with the previous ones. Clusters that the user cannot see stay."""
        if "clusters" in validated_data:
            unseen = instance.clusters.exclude(pk__in=visible_clusters(self.context["request"].user))
            validated_data["clusters"] = [*validated_data["clusters"], *unseen]
        seen = NOT_SEEN_YET if validated_data.keys() - {"clusters"} else {}
        return super().update(instance, {**validated_data, **seen})


class RegistryWithLinkSerializer(RegistrySerializer):
    """A registry with its inbound link. `hook_link` is null for users without permission to reveal it."""

    hook_link = serializers.SerializerMethodField(help_text="The address for the registry's webhook. It contains the secret.")

    class Meta(RegistrySerializer.Meta):
        fields = [*RegistrySerializer.Meta.fields, "hook_link"]
        read_only_fields = [*RegistrySerializer.Meta.read_only_fields, "hook_link"]

    def get_hook_link(self, registry: Registry) -> str | None:
        request = self.context["request"]
        if not request.user.has_perm("clusters.reveal_registry"):
            return None
        return f"{public_base_url(request)}/hook/registry/{registry.hook_token}"


class NodeSerializer(serializers.ModelSerializer[Node]):
    labels = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Node
        fields = [
            "node_id",
            "hostname",
            "address",
            "role",
            "leader",
            "reachability",
            "availability",
            "state",
            "state_message",
            "engine_version",
            "operating_system",
            "architecture",
            "cpus",
            "memory_bytes",
            "labels",
            "task_count",
        ]
        read_only_fields = fields


class ApplicationSerializer(serializers.ModelSerializer[Application]):
    class Meta:
        model = Application
        fields = [
            "id",
            "cluster",
            "name",
            "source",
            "status",
            "wanted",
            "running",
            "system",
            "protected",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class TaskSerializer(serializers.ModelSerializer[Task]):
    class Meta:
        model = Task
        fields = [
            "task_id",
            "slot",
            "node_id",
            "node_name",
            "state",
            "desired_state",
            "message",
            "error",
            "exit_code",
            "image",
            "container_id",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class ServiceSerializer(serializers.ModelSerializer[Service]):
    image_digests = serializers.ListField(child=serializers.CharField(), read_only=True)
    ports = serializers.ListField(child=serializers.DictField(), read_only=True)
    update_config = serializers.DictField(read_only=True, help_text="Swarm services only; delay and monitor in seconds.")
    rollback_config = serializers.DictField(read_only=True)

    class Meta:
        model = Service
        fields = [
            "id",
            "application",
            "name",
            "status",
            "mode",
            "replicas",
            "running",
            "image",
            "image_id",
            "image_digests",
            "ports",
            "health",
            "swarm_id",
            "update_state",
            "update_message",
            "update_started_at",
            "last_error",
            "update_config",
            "rollback_config",
        ]
        read_only_fields = fields


class ServiceDetailSerializer(ServiceSerializer):
    tasks = TaskSerializer(
        many=True, read_only=True, help_text="Swarm services only: present tasks, and past ones of each slot."
    )

    class Meta(ServiceSerializer.Meta):
        fields = [*ServiceSerializer.Meta.fields, "tasks"]
        read_only_fields = fields
