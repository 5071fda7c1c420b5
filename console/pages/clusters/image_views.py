"""Images of the engine at a cluster's address: the list, removing one, and pruning what was previewed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat, pluralize
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from clusters.access.audit import record_act
from clusters.engine.errors import EngineError
from clusters.engine.inspection.image_removal import (
    PruneChoice,
    Removal,
    Scope,
    choose_images,
    choose_one,
    explain_stay,
    remove_images,
)
from clusters.engine.inspection.images import SORTS, EngineImage, read_images, search_images, sort_images, total_images
from clusters.models import Cluster
from clusters.waits import release_connection
from console.pages.clusters.image_rows import make_rows, read_cluster_images
from console.pages.shared.live import open_engine
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    paginate,
    read_query,
    redirect_to,
    render_dialog,
    render_page,
    require,
)
from console.pages.shared.selection import select_cluster
from console.wording import short_id
from triggers.image_needs import gather_needs

MOST_IMAGES = 5_000  # in the list; a prune considers all
PREVIEWED = 200  # listed one by one
RECORDED = 100  # ids in an audit entry
REPORTED = 5  # kept images with a message of their own after a removal
KINDS = ("all", "unused", "dangling")
Choose = Callable[[list[EngineImage]], PruneChoice]


@dataclass(frozen=True)
class ImageFilters:
    """The filters and the order in the address."""

    query: str
    kind: str
    sort: str

    @classmethod
    def from_request(cls, request: HttpRequest) -> "ImageFilters":
        kind, sort = request.GET.get("show", ""), request.GET.get("sort", "")
        return cls(read_query(request, "q"), kind if kind in KINDS else "all", sort if sort in SORTS else "name")

    @property
    def is_narrow(self) -> bool:
        return bool(self.query) or self.kind != "all"

    def apply(self, images: list[EngineImage]) -> list[EngineImage]:
        if self.kind == "unused":
            images = [image for image in images if not image.is_used]
        elif self.kind == "dangling":
            images = [image for image in images if image.is_dangling]
        return sort_images(search_images(images, self.query) if self.query else images, self.sort)


@require_safe
@console_page
def images(request: HttpRequest) -> HttpResponse:
    """List the images of the selected or only cluster; without a selection among several, offer a choice."""
    selection = select_cluster(request)
    shown = selection.selected or (selection.clusters[0] if len(selection.clusters) == 1 else None)
    context: dict[str, Any] = {
        "title": "Images",
        "cluster_filter": True,
        "selection": selection,
        "filters": ImageFilters.from_request(request),
    }
    if shown is not None:
        context |= _describe_list(request, get_visible(request, Cluster.objects.all(), pk=shown.pk), context["filters"])
    return render_page(request, "console/clusters/images.html", context)


def _describe_list(request: HttpRequest, cluster: Cluster, filters: ImageFilters) -> dict[str, Any]:
    try:
        found = read_cluster_images(cluster)
    except EngineError as error:
        return {"cluster": cluster, "failure": error.message}
    page = paginate(request, filters.apply(found)[:MOST_IMAGES])
    return {
        "cluster": cluster,
        "totals": total_images(found),
        "most": MOST_IMAGES,
        "page": page,
        "rows": make_rows(cluster, page.object_list),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def image_remove(request: HttpRequest, uid: str, image_id: str) -> HttpResponse:
    """GET shows what would be lost, or why the image must stay; POST removes it as shown (`previewed`)."""
    cluster = get_visible(request, Cluster.objects.all(), uid=uid)
    require(request, "clusters.change_cluster", cluster)
    context = {"title": "Remove image", "cluster": cluster, "crumbs": _image_crumbs(cluster), "image_id": image_id}
    if request.method == "POST":
        previewed = _read_previewed(request.POST)
        if previewed.keys() == {f"sha256:{image_id}"}:
            choose = partial(choose_one, image_id=f"sha256:{image_id}")
            return _remove_previewed(request, cluster, "image.remove", previewed, choose)
    try:
        found = read_cluster_images(cluster)
    except EngineError as error:
        return render_dialog(request, "console/clusters/_image_remove.html", context | {"failure": error.message})
    image = next((one for one in found if one.image_id == f"sha256:{image_id}"), None)
    if image is None:
        raise Http404
    context |= {"image": image, "refusal": explain_stay(image, found), "previewed": _write_previewed([image])}
    return render_dialog(request, "console/clusters/_image_remove.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def image_prune(request: HttpRequest, uid: str) -> HttpResponse:
    """GET previews the images that the choice in the address removes; POST removes what was previewed (`previewed`).

    POST removes nothing else, and keeps previewed images to which the choice no longer applies. With `preview` a POST only
    shows the preview, for browsers without scripts.
    """
    cluster = get_visible(request, Cluster.objects.all(), uid=uid)
    require(request, "clusters.change_cluster", cluster)
    parameters = request.POST if request.method == "POST" else request.GET
    scope = Scope.UNUSED if parameters.get("scope") == Scope.UNUSED else Scope.DANGLING
    named = "named" in parameters
    previewed = _read_previewed(request.POST)
    if previewed and "preview" not in request.POST:
        choose = partial(choose_images, scope=scope, named=named)
        return _remove_previewed(request, cluster, "image.prune", previewed, choose)
    context: dict[str, Any] = {
        "title": "Prune images",
        "cluster": cluster,
        "crumbs": _image_crumbs(cluster),
        "scope": scope.value,
        "named": named,
    }
    try:
        choice = choose_images(read_cluster_images(cluster), scope, named)
        context |= _describe_choice(choice)
    except EngineError as error:
        context["failure"] = error.message
    if is_partial(request, "prune-preview"):
        return render(request, "console/clusters/_image_prune_preview.html", context | {"out_of_band": True, "in_dialog": True})
    return render_dialog(request, "console/clusters/_image_prune.html", context)


def _describe_choice(choice: PruneChoice) -> dict[str, Any]:
    return {
        "choice": choice,
        "going": choice.going[:PREVIEWED],
        "going_more": max(len(choice.going) - PREVIEWED, 0),
        "kept": choice.kept[:PREVIEWED],
        "kept_more": max(len(choice.kept) - PREVIEWED, 0),
        "previewed": _write_previewed(choice.going),
    }


def _remove_previewed(
    request: HttpRequest, cluster: Cluster, action: str, previewed: dict[str, str], choose: Choose
) -> HttpResponse:
    """Remove the previewed images. `choose` picks those that may be removed among the images present now."""
    needs = gather_needs(cluster)
    try:
        with open_engine(cluster) as client:
            present = read_images(client, needs, swarm=cluster.swarm_manager)
            _record_removal(request, cluster, action, previewed, present)
            release_connection()
            removal = remove_images(client, previewed, present, choose(present))
    except EngineError as error:
        messages.error(request, f"Nothing was removed. {error.message}")
    else:
        _report_removal(request, cluster, action, removal)
    return _back_to_list(request, cluster)


def _record_removal(
    request: HttpRequest,
    cluster: Cluster,
    action: str,
    previewed: dict[str, str],
    present: list[EngineImage],
) -> None:
    """Record the removal in the audit log before it is requested."""
    found = [image for image in present if image.image_id in previewed]
    ids = [short_id(image_id) for image_id in previewed][:RECORDED]
    names = [image.name for image in found][:RECORDED]
    space = sum(image.size for image in found)
    record_act(request, action, cluster, asked=len(previewed), bytes=space, images=names, ids=ids)


def _report_removal(request: HttpRequest, cluster: Cluster, action: str, removal: Removal) -> None:
    """Report the outcome to the reader, and to the audit log unless everything was removed."""
    count = len(removal.removed)
    if count:
        what = removal.removed[0].name if count == 1 else f"{count} images"
        messages.success(request, f"Removed {what}. Freed up to {filesizeformat(removal.space)}.")
    if removal.gone:
        number = len(removal.gone)
        messages.info(request, f"{number} image{pluralize(number)} {pluralize(number, 'was,were')} already removed.")
    for one in removal.kept[:REPORTED]:
        messages.warning(request, f"{one.image.name} was kept: {one.reason}.")
    if (more := len(removal.kept) - REPORTED) > 0:
        messages.warning(request, f"{more} more image{pluralize(more)} {pluralize(more, 'was,were')} kept.")
    if removal.kept or removal.gone:
        kept = [short_id(one.image.image_id) for one in removal.kept][:RECORDED]
        outcome = {"removed": count, "kept": len(removal.kept), "gone": len(removal.gone), "bytes": removal.space}
        record_act(request, action, cluster, **outcome, kept_ids=kept)


def _back_to_list(request: HttpRequest, cluster: Cluster) -> HttpResponse:
    """Redirect to the list. The address names the cluster only if another one would be shown otherwise."""
    selection = select_cluster(request)
    query = "" if len(selection.clusters) == 1 or selection.selected == cluster else f"?cluster={cluster.uid}"
    return redirect_to(request, "images", query=query)


def _write_previewed(shown: list[EngineImage] | tuple[EngineImage, ...]) -> str:
    return " ".join(f"{image.image_id.removeprefix('sha256:')}.{image.fingerprint}" for image in shown)


def _read_previewed(form: QueryDict) -> dict[str, str]:
    """Return the fingerprints by image id of what the reader was shown."""
    pairs = [word.partition(".") for word in form.get("previewed", "").split()]
    return {f"sha256:{image_id}": fingerprint for image_id, _, fingerprint in pairs}


def _image_crumbs(cluster: Cluster) -> list[tuple[str, str]]:
    return [
        ("Clusters", reverse("clusters")),
        (cluster.name, reverse("cluster", args=[cluster.uid])),
        ("Images", f"{reverse('images')}?cluster={cluster.uid}"),
    ]
