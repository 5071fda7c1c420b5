"""The four roles and their permissions. A user has a role for all clusters (through the Django group of its name) or for
single ones (models.ClusterGrant). `clusters.access` answers which user has which.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    VIEWER = "viewer", _("Viewer")
    OPERATOR = "operator", _("Operator")
    DEPLOYER = "deployer", _("Deployer")
    ADMINISTRATOR = "administrator", _("Administrator")


# Sees everything except secrets.
VIEWER = frozenset(
    {
        *(f"clusters.view_{model}" for model in ("cluster", "node", "application", "service", "container", "task")),
        *(
            f"triggers.view_{model}"
            for model in ("trigger", "triggercall", "triggercallevent", "imagesubscription", "deliveryline", "freezewindow")
        ),
    }
)
# Also redeploys, scales, stops and starts, calls triggers and reads logs.
OPERATOR = VIEWER | {"triggers.add_triggercall", "clusters.view_logs"}
# Also manages triggers and sees their secrets, and reveals secret environment values of containers.
DEPLOYER = OPERATOR | {
    *(f"triggers.{verb}_trigger" for verb in ("add", "change", "delete", "reveal")),
    *(f"triggers.{verb}_imagesubscription" for verb in ("add", "change", "delete")),
    "clusters.reveal_environment",
}
# Also deletes applications and containers, removes images, and renames and deletes the cluster. Its connection takes the right
# for all clusters (access.CHOOSE_ENGINES).
CLUSTER_ADMINISTRATOR = DEPLOYER | {
    "clusters.change_cluster",
    "clusters.delete_cluster",
    "clusters.delete_application",
    "clusters.delete_container",
}
# Registries belong to no cluster: only a role for all clusters includes them and their deliveries.
REGISTRIES = frozenset({"clusters.view_registry", "triggers.view_delivery"})
# For all clusters: also adds clusters, registries and channels, manages users and their roles, and reads the audit log.
ADMINISTRATOR = CLUSTER_ADMINISTRATOR | {
    "clusters.add_cluster",
    "clusters.view_auditentry",
    *(f"triggers.{verb}_notificationchannel" for verb in ("view", "add", "change", "delete")),
    *(f"clusters.{verb}_registry" for verb in ("add", "change", "delete", "reveal")),
    *(f"clusters.{verb}_clustergrant" for verb in ("view", "add", "change", "delete")),
    *(f"auth.{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in ("user", "group")),
}

FOR_ONE_CLUSTER: dict[str, frozenset[str]] = {
    Role.VIEWER: VIEWER,
    Role.OPERATOR: OPERATOR,
    Role.DEPLOYER: DEPLOYER,
    Role.ADMINISTRATOR: CLUSTER_ADMINISTRATOR,
}
FOR_ALL_CLUSTERS: dict[str, frozenset[str]] = {
    **{role: permissions | REGISTRIES for role, permissions in FOR_ONE_CLUSTER.items()},
    Role.ADMINISTRATOR: ADMINISTRATOR | REGISTRIES,
}
