"""What applications need of an engine's images, as far as the inventory and the calls under way show."""

from clusters.engine.inspection.images import ImageNeed
from clusters.models import Application, Cluster, Service
from triggers.models import TriggerCall
from triggers.selectors import only_active


def gather_needs(cluster: Cluster, besides: Application | None = None) -> list[ImageNeed]:
    """Return what the cluster's applications refer to, all but `besides`.

    While a call is under way, all images of its application are needed: no container uses yet what it has pulled.
    """
    active = only_active(TriggerCall.objects.filter(application__cluster=cluster)).values_list("application_id", flat=True)
    busy = set(active)
    services = Service.objects.filter(application__cluster=cluster).select_related("application")
    return [
        ImageNeed(reference, describe_need(service, service.application_id in busy), service.application_id in busy)
        for service in (services.exclude(application=besides) if besides else services)
        for reference in dict.fromkeys((service.image, service.image_id, *service.image_digests))
        if reference
    ]


def describe_need(service: Service, is_busy: bool) -> str:
    application = service.application
    if is_busy:
        return f"a call is under way at the application {application.name}"
    if application.is_swarm and application.name != service.name:
        return f"the Swarm service {service.name} of {application.name} refers to it"
    return f"the application {application.name} refers to it"
