"""Messages in the format of each sender, with invented values, and the expected content."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

DIGEST = "sha256:" + "a1" * 32
OTHER_DIGEST = "sha256:" + "b2" * 32
PLANTED = "planted-secret"  # stands wherever a sender puts a secret

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/octet-stream"
ENVELOPE = {"content-type": "application/vnd.docker.distribution.events.v2+json"}

HOST = "registry.example.com"
APP = f"{HOST}/team/app"


@dataclass(frozen=True)
class Example:
    """A message and its expected content: `pushes` as (name, tag, digest), `passed_over` as a part of each sentence."""

    sender: str
    case: str
    body: dict[str, Any]
    pushes: list[tuple[str, str, str]] = field(default_factory=list)
    event: str = ""
    passed_over: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    delivery_id: str = ""

    @property
    def name(self) -> str:
        return f"{self.sender}: {self.case}"

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body).encode()


def distribution_event(action="push", tag="1.2", digest=DIGEST, repository="team/app", kind=MANIFEST, host=HOST, url=True):
    target = {"mediaType": kind, "size": 1570, "digest": digest, "length": 1570, "repository": repository}
    if tag is not None:
        target["tag"] = tag
    if url:
        target["url"] = f"https://{host}/v2/{repository}/manifests/{digest}?_state={PLANTED}"
    request = {"id": "req-1", "addr": "192.0.2.7:41000", "host": host, "method": "PUT", "useragent": "docker/27.3"}
    return {
        "id": "event-1",
        "timestamp": "2026-03-01T10:00:00.1Z",
        "action": action,
        "target": target,
        "request": request,
        "actor": {"name": "ada"},
        "source": {"addr": "0f3c:5000", "instanceID": "instance-1"},
    }


def dockerhub(tag="1.2", **repository):
    told = {"repo_name": "team/app", "namespace": "team", "name": "app", "owner": "team", "status": "Active", **repository}
    return {
        "callback_url": f"https://registry.hub.docker.com/u/team/app/hook/{PLANTED}/",
        "push_data": {"pushed_at": 1.741e9, "pusher": "ada", "tag": tag, "images": []},
        "repository": {**told, "dockerfile": f"FROM alpine\nENV DB_PASSWORD={PLANTED}\n"},
    }


def with_parts(event, *kinds):
    """Return the event with the media types of the manifest's parts, as the registry's `includereferences` adds them."""
    references = [{"mediaType": kind, "digest": OTHER_DIGEST, "size": 7} for kind in kinds]
    return event | {"target": event["target"] | {"references": references}}


def harbor_resource(tag="1.2", digest=DIGEST, url=f"{APP}:1.2"):
    return {"digest": digest, "tag": tag, "resource_url": url}


def harbor_data(*resources, full_name="team/app"):
    namespace, _, name = full_name.rpartition("/")
    repository = {"date_created": 1, "name": name, "namespace": namespace, "repo_full_name": full_name, "repo_type": "private"}
    return {"resources": list(resources), "repository": repository}


def harbor(*resources, kind="PUSH_ARTIFACT", **more):
    return {"type": kind, "occur_at": 1741000000, "operator": "ada", "event_data": harbor_data(*resources, **more)}


def replication(*artifacts, status="Success", endpoint=f"https://{HOST}", namespace="team"):
    """As Harbor's formats, without the sender's own addresses."""
    return {
        "type": "REPLICATION",
        "occur_at": 1741000000,
        "operator": "MANUAL",
        "event_data": {
            "replication": {
                "harbor_hostname": HOST,
                "job_status": status,
                "artifact_type": "image",
                "override_mode": True,
                "trigger_type": "MANUAL",
                "policy_creator": "admin",
                "src_resource": {"registry_type": "harbor", "endpoint": "https://central.example.com", "namespace": "team"},
                "dest_resource": {"registry_type": "harbor", "endpoint": endpoint, "namespace": namespace},
                "successful_artifact": list(artifacts),
            }
        },
    }


def replicated(name_tag="app:1.2", kind="image", status="Success"):
    return {"type": kind, "status": status, "name_tag": name_tag}


def harbor_cloud_event(*resources, kind="harbor.artifact.pushed"):
    return {
        "specversion": "1.0",
        "type": kind,
        "id": "cloud-event-1",
        "source": "/projects/1/webhook/policies/3",
        "time": "2026-03-01T10:00:00Z",
        "operator": "ada",
        "datacontenttype": "application/json",
        "data": harbor_data(*resources),
    }


def quay(host="quay.io", **more):
    return {
        "name": "app",
        "repository": "team/app",
        "namespace": "team",
        "docker_url": f"{host}/team/app",
        "homepage": f"https://{host}/repository/team/app",
        **more,
    }


def github_package(tag="1.2", digest=DIGEST, name="app", owner="Team", kind="CONTAINER", url=None, version=None):
    url = f"ghcr.io/{owner}/{name}:{tag}" if url is None else url
    return {
        "name": name,
        "namespace": owner,
        "ecosystem": kind,
        "package_type": kind,
        "owner": {"login": owner},
        "package_version": {
            "version": digest if version is None else version,
            "package_url": url,
            "container_metadata": {"tag": {"name": tag, "digest": digest}, "manifest": {"media_type": MANIFEST}},
        },
    }


def github(key="registry_package", action="published", **package):
    repository = {"full_name": "Team/sources", "private": True}
    return {"action": action, key: github_package(**package), "repository": repository, "sender": {"login": "ada"}}


def github_headers(event="registry_package"):
    return {"x-github-event": event, "x-github-delivery": "delivery-1", "x-github-hook-id": "7"}


def gitea(version="1.2", action="created", kind="container", name="app", owner="Team", host="git.example.com"):
    package = {"id": 1, "owner": {"login": owner}, "repository": None, "type": kind, "name": name, "version": version}
    package["html_url"] = f"https://{host}/{owner}/-/packages/{kind}/{name}/{version}" if host else ""
    return {"action": action, "repository": None, "package": package, "organization": {}, "sender": {"login": "ada"}}


def gitea_headers(event="package", flavour="gitea"):
    """Return the headers of Gitea or Forgejo: also those of GitHub, and empty signatures when no secret is set."""
    return {
        f"x-{flavour}-event": event,
        f"x-{flavour}-delivery": "delivery-1",
        f"x-{flavour}-signature": "",
        "x-github-event": event,
        "x-github-delivery": "delivery-1",
        "x-hub-signature-256": "sha256=",
    }


def acr(action="push", **event):
    whole = distribution_event(action, url=False, **{"host": "team.azurecr.io", **event})
    return {key: whole[key] for key in ("id", "timestamp", "action", "target", "request")}


def alibaba(tag="1.2", digest=DIGEST, **repository):
    told = {"repo_full_name": "team/app", "namespace": "team", "name": "app", "region": "cn-hangzhou", **repository}
    pushed = {"digest": digest, "pushed_at": "2026-03-01 10:00:00", "tag": tag}
    return {"push_data": pushed, "repository": {**told, "repo_authentication_type": "NO_CERTIFIED", "repo_type": "PUBLIC"}}


def ecr(action="PUSH", result="SUCCESS", **detail):
    told = {"repository-name": "team/app", "image-digest": DIGEST, "image-tag": "1.2", **detail}
    return {
        "version": "0",
        "id": "event-1",
        "detail-type": "ECR Image Action",
        "source": "aws.ecr",
        "account": "123456789012",
        "time": "2026-03-01T10:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {"result": result, "action-type": action, **told},
    }


def ecr_cloud_event(kind="com.amazon.ecr.image.push"):
    return {
        "specversion": "1.0",
        "id": "event-1",
        "type": kind,
        "source": "urn:aws:ecr:eu-west-1:123456789012:repository/team/app",
        "subject": "team/app:1.2",
        "data": {"repositoryName": "team/app", "imageTag": "1.2", "imageDigest": DIGEST, "registryId": "123456789012"},
    }


def sns(message, kind="Notification"):
    topic = "arn:aws:sns:eu-west-1:123456789012:pushes"
    link = f"https://sns.example.com/?Action=ConfirmSubscription&Token={PLANTED}"
    return {
        "Type": kind,
        "MessageId": "message-1",
        "TopicArn": topic,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Token": PLANTED,
        "SubscribeURL": link,
        "Signature": PLANTED,
        "UnsubscribeURL": link,
    }


def gcr(action="INSERT", **data):
    """Return the data of a message of Pub/Sub."""
    return {"action": action, **data}


def pubsub(data):
    encoded = base64.b64encode(json.dumps(data).encode()).decode() if isinstance(data, dict) else data
    return {
        "message": {"data": encoded, "messageId": "message-1", "publishTime": "2026-03-01T10:00:00Z"},
        "subscription": "projects/p/subscriptions/windlass",
    }


def artifactory(event="pushed", domain="docker", **data):
    told = {"repo_key": "docker-local", "event_type": event, "path": "team/app/1.2/manifest.json", "name": "manifest.json"}
    told |= {"sha256": DIGEST.removeprefix("sha256:"), "size": 1206, "image_name": "team/app", "tag": "1.2", **data}
    return {
        "domain": domain,
        "event_type": event,
        "data": told,
        "subscription_key": PLANTED,
        "jpd_origin": "https://art.example.com",
        "source": "jfrog/ada",
    }


def nexus(action="CREATED", kind="docker", version="1.2", name="team/app"):
    component = {"id": "08909b", "componentId": "ZG9ja2Vy", "format": kind, "name": name, "group": None, "version": version}
    return {
        "timestamp": "2026-03-01T10:00:00.000+0000",
        "nodeId": "node-1",
        "initiator": "ada/192.0.2.7",
        "repositoryName": "docker-hosted",
        "action": action,
        "component": component,
    }


def nexus_headers(event="rm:repository:component"):
    return {"x-nexus-webhook-id": event, "x-nexus-webhook-delivery": "delivery-1"}


def diun(status="update", image="docker.io/team/app:1.2", digest=DIGEST):
    return {
        "diun_version": "4.28.0",
        "hostname": "server",
        "status": status,
        "provider": "docker",
        "image": image,
        "hub_link": "https://hub.docker.com/r/team/app",
        "mime_type": INDEX,
        "digest": digest,
        "platform": "linux/amd64",
        "metadata": {"ctn_names": "app", "ctn_command": f"run --password {PLANTED}"},
    }


def wud(url="https://registry-1.docker.io/v2", name="team/app", current="1.1", **more):
    registry = {"name": "hub", "url": url}
    return {
        "id": "31a61a8305ef",
        "name": "app",
        "watcher": "local",
        "image": {"id": OTHER_DIGEST, "registry": registry, "name": name, "tag": {"value": current, "semver": True}},
        "result": {"tag": "1.2", "digest": DIGEST},
        "updateAvailable": True,
        "updateKind": {"kind": "tag"},
        "labels": {"traefik.http.middlewares.m.basicauth.users": PLANTED},
        **more,
    }


PUSHED = [(APP, "1.2", DIGEST)]

EXAMPLES = [
    Example(
        "distribution", "a push", {"events": [distribution_event()]}, PUSHED, "push", headers=ENVELOPE, delivery_id="event-1"
    ),
    Example(
        "distribution",
        "version 1 of the envelope",
        {"events": [distribution_event()]},
        PUSHED,
        "push",
        headers={"content-type": "application/vnd.docker.distribution.events.v1+json"},
        delivery_id="event-1",
    ),
    Example("distribution", "plain JSON", {"events": [distribution_event()]}, PUSHED, "push", delivery_id="event-1"),
    Example(
        "distribution",
        "a multi-arch push as GitLab sends it",
        {
            "events": [
                distribution_event("pull", tag=None),
                distribution_event(tag=None, kind=LAYER),
                distribution_event(tag=None, kind=LAYER),
                distribution_event(tag=None, digest=OTHER_DIGEST),
                distribution_event(kind=INDEX),
                distribution_event(kind=INDEX),
            ]
        },
        [(APP, "", OTHER_DIGEST), *PUSHED],
        "pull, push",
        ("'pull' of 'team/app' is not a push", "Layers of 'team/app' were pushed, which are not an image. (2 times)"),
        ENVELOPE,
    ),
    Example(
        "distribution",
        "a delete",
        {"events": [distribution_event("delete", tag=None)]},
        event="delete",
        passed_over=("'delete' of 'team/app' is not a push",),
        headers=ENVELOPE,
        delivery_id="event-1",
    ),
    Example(
        "distribution",
        "a mount",
        {"events": [distribution_event("mount", tag=None)]},
        event="mount",
        passed_over=("'mount' of 'team/app'",),
        delivery_id="event-1",
    ),
    Example(
        "distribution",
        "without an address, at an inner host",
        {"events": [distribution_event(url=False, host="registry")]},
        [("team/app", "1.2", DIGEST)],
        "push",
        delivery_id="event-1",
    ),
    Example(
        "distribution",
        "with a port, and a tag of digits",
        {"events": [distribution_event(host="registry.example.com:5000", tag="1234")]},
        [("registry.example.com:5000/team/app", "1234", DIGEST)],
        "push",
        delivery_id="event-1",
    ),
    Example(
        "distribution",
        "names that are none",
        {"events": [distribution_event(repository="../x"), distribution_event(tag="a b"), distribution_event(digest="md5:1")]},
        event="push",
        passed_over=("A push of '../x'", "'a b' is not a tag", "'md5:1' is not a digest"),
    ),
    Example(
        "distribution",
        "a Helm chart and a signature",
        {
            "events": [
                with_parts(distribution_event(tag="1.0"), "application/vnd.cncf.helm.config.v1+json"),
                with_parts(distribution_event(tag="2.0"), "application/vnd.dev.cosign.simplesigning.v1+json"),
                with_parts(distribution_event(tag="3.0"), "application/vnd.buildkit.cacheconfig.v0"),
                with_parts(distribution_event(), "application/vnd.oci.image.config.v1+json"),
            ]
        },
        PUSHED,
        "push",
        ("'1.0' of 'team/app' is a Helm chart", "'2.0' of 'team/app' is a signature", "is a build cache"),
    ),
    Example("distribution", "no events", {"events": []}, headers=ENVELOPE),
    Example("dockerhub", "a push", dockerhub(), [("docker.io/team/app", "1.2", "")], "push"),
    Example("dockerhub", "an official image", dockerhub(repo_name="app"), [("docker.io/library/app", "1.2", "")], "push"),
    Example("dockerhub", "no full name", dockerhub(repo_name=None), [("docker.io/team/app", "1.2", "")], "push"),
    Example("dockerhub", "no tag", dockerhub(tag=None), [("docker.io/team/app", "", "")], "push"),
    Example("dockerhub", "upper case", dockerhub(repo_name="Team/App", tag="V1"), [("docker.io/team/app", "V1", "")], "push"),
    Example("dockerhub", "a list of tags", dockerhub(tag=["1", "2"]), [], "push", ("a list is not a tag",)),
    Example("harbor", "a push", harbor(harbor_resource()), PUSHED, "PUSH_ARTIFACT"),
    Example("harbor", "a replication", replication(replicated()), [(APP, "1.2", "")], "REPLICATION"),
    Example(
        "harbor",
        "a replication with its whole name",
        replication(replicated("team/app:1.2")),
        [(APP, "1.2", "")],
        "REPLICATION",
    ),
    Example(
        "harbor",
        "a replication to another registry",
        replication(replicated(), endpoint="https://far.example.com:8443", namespace="other"),
        [("far.example.com:8443/other/app", "1.2", "")],
        "REPLICATION",
    ),
    Example(
        "harbor",
        "a replication that has begun",
        replication(replicated(), status="Running"),
        event="REPLICATION",
        passed_over=("whose status is 'Running'",),
    ),
    Example(
        "harbor",
        "a replication that failed",
        replication(status="Failed"),
        event="REPLICATION",
        passed_over=("whose status is 'Failed'",),
    ),
    Example(
        "harbor",
        "a replication of other things",
        replication(replicated("chart:1", "chart"), replicated(status="Failed"), replicated("app [2 item(s) in total]"), 7),
        event="REPLICATION",
        passed_over=("'chart:1' is not an image", "'app:1.2' is not an image", "'app' does not name its tags", "'' is not"),
    ),
    Example("harbor", "version 1", harbor(harbor_resource(), kind="pushImage"), PUSHED, "pushImage"),
    Example(
        "harbor",
        "untagged",
        harbor(harbor_resource(DIGEST, DIGEST, f"{APP}@{DIGEST}")),
        [(APP, "", DIGEST)],
        "PUSH_ARTIFACT",
    ),
    Example(
        "harbor",
        "several tags",
        harbor(harbor_resource(), harbor_resource("latest")),
        [*PUSHED, (APP, "latest", DIGEST)],
        "PUSH_ARTIFACT",
    ),
    Example(
        "harbor",
        "no host",
        harbor(harbor_resource(url="team/app")),
        [("team/app", "1.2", DIGEST)],
        "PUSH_ARTIFACT",
    ),
    Example(
        "harbor",
        "a delete",
        harbor(harbor_resource(), kind="DELETE_ARTIFACT"),
        event="DELETE_ARTIFACT",
        passed_over=("'DELETE_ARTIFACT' of 'team/app' is not a push",),
    ),
    Example(
        "harbor",
        "a quota, without resources",
        {"type": "QUOTA_EXCEED", "occur_at": 1, "operator": "", "event_data": {"custom_attributes": {"Details": "full"}}},
        event="QUOTA_EXCEED",
        passed_over=("'QUOTA_EXCEED' is not a push",),
    ),
    Example(
        "harbor",
        "CloudEvents",
        harbor_cloud_event(harbor_resource()),
        PUSHED,
        "harbor.artifact.pushed",
        headers={"content-type": "application/cloudevents+json"},
        delivery_id="cloud-event-1",
    ),
    Example(
        "harbor",
        "CloudEvents of a scan",
        harbor_cloud_event(harbor_resource(), kind="harbor.scan.completed"),
        event="harbor.scan.completed",
        passed_over=("'harbor.scan.completed' of 'team/app'",),
        delivery_id="cloud-event-1",
    ),
    Example(
        "quay",
        "a list of tags",
        quay(updated_tags=["1.2", "latest"]),
        [("quay.io/team/app", "1.2", ""), ("quay.io/team/app", "latest", "")],
        "repo_push",
    ),
    Example(
        "quay",
        "a registry of one's own",
        quay("quay.example.com:8443", updated_tags=["1.2"]),
        [("quay.example.com:8443/team/app", "1.2", "")],
        "repo_push",
    ),
    Example("quay", "an object of tags", quay(updated_tags={"1.2": "a1b2"}), [("quay.io/team/app", "1.2", "")], "repo_push"),
    Example("quay", "no tags", quay(updated_tags=[]), [("quay.io/team/app", "", "")], "repo_push"),
    Example(
        "quay",
        "a tag that is none",
        quay(updated_tags=["1.2", {"name": "x"}]),
        [("quay.io/team/app", "1.2", "")],
        "repo_push",
        ("an object is not a tag",),
    ),
    Example("quay", "a build", quay(build_id="296ec063"), event="build", passed_over=("'build' of 'team/app' is not a push",)),
    Example(
        "quay",
        "a vulnerability",
        quay(vulnerability={"id": "CVE-2026-0001"}, tags=["latest"]),
        event="vulnerability_found",
        passed_over=("'vulnerability_found' of 'team/app'",),
    ),
    Example(
        "github",
        "a registry package, in mixed case",
        github(),
        [("ghcr.io/team/app", "1.2", DIGEST)],
        "registry_package",
        headers=github_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "a package",
        github("package", "updated", kind="container"),
        [("ghcr.io/team/app", "1.2", DIGEST)],
        "package",
        headers=github_headers("package"),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "a form",
        {"payload": json.dumps(github()), **github()},
        [("ghcr.io/team/app", "1.2", DIGEST)],
        "registry_package",
        headers=github_headers() | {"content-type": "application/x-www-form-urlencoded"},
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "one architecture of a multi-arch push",
        github(tag="", version=OTHER_DIGEST),
        [("ghcr.io/team/app", "", OTHER_DIGEST)],
        "registry_package",
        headers=github_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "a digest for a tag",
        github(tag=DIGEST, url="ghcr.io/Team/app:"),
        [("ghcr.io/team/app", "", DIGEST)],
        "registry_package",
        headers=github_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "a name with a slash and no address",
        github(name="sources/app", url=""),
        [("ghcr.io/team/sources/app", "1.2", DIGEST)],
        "registry_package",
        headers=github_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "another kind of package",
        github(kind="npm"),
        event="registry_package",
        passed_over=("The package 'app' is not a container image",),
        headers=github_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "another action",
        github(action="deleted"),
        event="registry_package",
        passed_over=("'deleted' of 'app' is not a push",),
        headers=github_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "a ping",
        {"zen": "Keep it logically awesome.", "hook": {"config": {"url": f"https://w.example/hook/registry/{PLANTED}"}}},
        event="ping",
        passed_over=("A ping: the webhook is set up.",),
        headers=github_headers("ping"),
        delivery_id="delivery-1",
    ),
    Example(
        "github",
        "a push of commits",
        {"ref": "refs/heads/main", "repository": {"full_name": "Team/sources"}},
        event="push",
        passed_over=("'push' is not about packages",),
        headers=github_headers("push"),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "a push",
        gitea(),
        [("git.example.com/team/app", "1.2", "")],
        "package",
        headers=gitea_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "Forgejo, in upper case and with a port",
        gitea(name="App", version="V1", host="git.example.com:3000"),
        [("git.example.com:3000/team/app", "V1", "")],
        "package",
        headers=gitea_headers(flavour="forgejo"),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "untagged",
        gitea(version=DIGEST),
        [("git.example.com/team/app", "", DIGEST)],
        "package",
        headers=gitea_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "no address",
        gitea(host=""),
        [("team/app", "1.2", "")],
        "package",
        headers=gitea_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "a delete",
        gitea(action="deleted"),
        event="package",
        passed_over=("'deleted' of 'app' is not a push",),
        headers=gitea_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "another kind of package",
        gitea(kind="npm"),
        event="package",
        passed_over=("The package 'app' is not a container image",),
        headers=gitea_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "gitea",
        "a push of commits, as its test sends",
        {"ref": "refs/heads/main", "secret": PLANTED, "commits": []},
        event="push",
        passed_over=("'push' is not about packages",),
        headers=gitea_headers("push"),
        delivery_id="delivery-1",
    ),
    Example("acr", "a push", acr(), [("team.azurecr.io/team/app", "1.2", DIGEST)], "push", delivery_id="event-1"),
    Example("acr", "untagged", acr(tag=None), [("team.azurecr.io/team/app", "", DIGEST)], "push", delivery_id="event-1"),
    Example("acr", "an empty tag", acr(tag=""), [("team.azurecr.io/team/app", "", DIGEST)], "push", delivery_id="event-1"),
    Example("acr", "no host", {**acr(), "request": {}}, [("team/app", "1.2", DIGEST)], "push", delivery_id="event-1"),
    *(
        Example("acr", word, acr(word), event=word, passed_over=(f"'{word}' of 'team/app'",), delivery_id="event-1")
        for word in ("delete", "chart_push", "quarantine")
    ),
    Example(
        "acr",
        "a ping",
        {"id": "event-1", "timestamp": "2026-03-01T10:00:00Z", "action": "ping"},
        event="ping",
        passed_over=("'ping' is not a push",),
        delivery_id="event-1",
    ),
    Example("alibaba", "a push", alibaba(), [("registry.cn-hangzhou.aliyuncs.com/team/app", "1.2", DIGEST)], "push"),
    Example("alibaba", "no region", alibaba(region=None), [("team/app", "1.2", DIGEST)], "push"),
    Example("alibaba", "a region that is none", alibaba(region="evil.example/x"), [("team/app", "1.2", DIGEST)], "push"),
    Example(
        "alibaba",
        "no full name, and upper case",
        alibaba(repo_full_name=None, name="App"),
        [("registry.cn-hangzhou.aliyuncs.com/team/app", "1.2", DIGEST)],
        "push",
    ),
    Example(
        "ecr",
        "a push",
        ecr(),
        [("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", "1.2", DIGEST)],
        "PUSH",
        delivery_id="event-1",
    ),
    Example(
        "ecr",
        "untagged",
        ecr(**{"image-tag": ""}),
        [("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", "", DIGEST)],
        "PUSH",
        delivery_id="event-1",
    ),
    Example(
        "ecr",
        "in China",
        {**ecr(), "region": "cn-north-1"},
        [("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/app", "1.2", DIGEST)],
        "PUSH",
        delivery_id="event-1",
    ),
    Example("ecr", "no account", {**ecr(), "account": None}, [("team/app", "1.2", DIGEST)], "PUSH", delivery_id="event-1"),
    Example(
        "ecr",
        "a delete",
        ecr("DELETE"),
        event="DELETE",
        passed_over=("'DELETE' of 'team/app' is not a push",),
        delivery_id="event-1",
    ),
    Example("ecr", "a failure", ecr(result="FAILURE"), event="PUSH", passed_over=("did not succeed",), delivery_id="event-1"),
    Example(
        "ecr",
        "a scan",
        {**ecr(), "detail-type": "ECR Image Scan", "detail": {"scan-status": "COMPLETE", "repository-name": "team/app"}},
        event="ECR Image Scan",
        passed_over=("'ECR Image Scan' of 'team/app'",),
        delivery_id="event-1",
    ),
    Example(
        "ecr",
        "CloudEvents",
        ecr_cloud_event(),
        [("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", "1.2", DIGEST)],
        "com.amazon.ecr.image.push",
        delivery_id="event-1",
    ),
    Example(
        "ecr",
        "CloudEvents of a delete",
        ecr_cloud_event("com.amazon.ecr.image.delete"),
        event="com.amazon.ecr.image.delete",
        passed_over=("'com.amazon.ecr.image.delete' of 'team/app'",),
        delivery_id="event-1",
    ),
    Example(
        "ecr",
        "in SNS",
        sns(ecr()),
        [("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", "1.2", DIGEST)],
        "PUSH",
        delivery_id="message-1",
    ),
    Example(
        "ecr",
        "another notification of SNS",
        sns("The disk is full."),
        event="Notification",
        passed_over=("contains no event of ECR",),
        delivery_id="message-1",
    ),
    Example(
        "ecr",
        "SNS in SNS",
        sns(sns(ecr())),
        event="Notification",
        passed_over=("contains no event of ECR",),
        delivery_id="message-1",
    ),
    Example(
        "ecr",
        "a confirmation of SNS",
        sns("You have chosen to subscribe.", "SubscriptionConfirmation"),
        event="SubscriptionConfirmation",
        passed_over=("Confirming an Amazon SNS subscription",),
        delivery_id="message-1",
    ),
    Example(
        "artifact_registry",
        "a push",
        pubsub(gcr(digest=f"eu-docker.pkg.dev/project/team/app@{DIGEST}", tag="eu-docker.pkg.dev/project/team/app:1.2")),
        [("eu-docker.pkg.dev/project/team/app", "1.2", DIGEST)],
        "INSERT",
        delivery_id="message-1",
    ),
    Example(
        "artifact_registry",
        "untagged",
        pubsub(gcr(digest=f"gcr.io/project/app@{DIGEST}")),
        [("gcr.io/project/app", "", DIGEST)],
        "INSERT",
        delivery_id="message-1",
    ),
    Example(
        "artifact_registry",
        "unwrapped",
        gcr(digest=f"gcr.io/project/app@{DIGEST}", tag="gcr.io/project/app:1.2"),
        [("gcr.io/project/app", "1.2", DIGEST)],
        "INSERT",
    ),
    Example(
        "artifact_registry",
        "a delete",
        pubsub(gcr("DELETE", tag="gcr.io/project/app:1.2")),
        event="DELETE",
        passed_over=("'DELETE' of 'gcr.io/project/app:1.2'",),
        delivery_id="message-1",
    ),
    Example(
        "artifact_registry",
        "another message of Pub/Sub",
        pubsub({"hello": "world", "token": PLANTED}),
        passed_over=("contains no event of a registry",),
        delivery_id="message-1",
    ),
    Example(
        "artifact_registry",
        "data that is no base64",
        pubsub("%%%"),
        passed_over=("contains no event of a registry",),
        delivery_id="message-1",
    ),
    Example(
        "artifactory",
        "a push",
        artifactory(),
        [("art.example.com/docker-local/team/app", "1.2", DIGEST), ("team/app", "1.2", DIGEST)],
        "pushed",
    ),
    Example(
        "artifactory",
        "no origin, no checksum",
        {**artifactory(sha256=None), "jpd_origin": None},
        [("docker-local/team/app", "1.2", ""), ("team/app", "1.2", "")],
        "pushed",
    ),
    Example(
        "artifactory",
        "a delete",
        artifactory("deleted", sha256="sample_checksum"),
        event="deleted",
        passed_over=("'deleted' of 'team/app' is not a push",),
    ),
    Example("artifactory", "another domain", artifactory("deployed", "artifact"), [], "deployed", ("The domain 'artifact'",)),
    Example(
        "nexus",
        "a push",
        nexus(),
        [("team/app", "1.2", ""), ("docker-hosted/team/app", "1.2", "")],
        "rm:repository:component",
        headers=nexus_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "nexus",
        "an update, without the headers",
        nexus("UPDATED"),
        [("team/app", "1.2", ""), ("docker-hosted/team/app", "1.2", "")],
        "UPDATED",
    ),
    Example(
        "nexus",
        "untagged",
        nexus(version=DIGEST),
        [("team/app", "", DIGEST), ("docker-hosted/team/app", "", DIGEST)],
        "rm:repository:component",
        headers=nexus_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "nexus",
        "a delete",
        nexus("DELETED"),
        event="rm:repository:component",
        passed_over=("'DELETED' of 'team/app' is not a push",),
        headers=nexus_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "nexus",
        "another format",
        nexus(kind="maven2"),
        event="rm:repository:component",
        passed_over=("The component 'team/app' is not a container image",),
        headers=nexus_headers(),
        delivery_id="delivery-1",
    ),
    Example(
        "nexus",
        "an asset",
        {
            "repositoryName": "docker-hosted",
            "action": "CREATED",
            "asset": {"format": "docker", "name": "v2/team/app/manifests/1.2"},
        },
        event="rm:repository:asset",
        passed_over=("'rm:repository:asset' is not about components",),
        headers=nexus_headers("rm:repository:asset"),
        delivery_id="delivery-1",
    ),
    Example("diun", "an update", diun(), [("docker.io/team/app", "1.2", DIGEST)], "update"),
    Example(
        "diun",
        "a new image elsewhere",
        diun("new", "ghcr.io/team/app:main"),
        [("ghcr.io/team/app", "main", DIGEST)],
        "new",
    ),
    Example("diun", "nothing new", diun("unchange"), event="unchange", passed_over=("'unchange' of 'docker.io/team/app:1.2'",)),
    Example("diun", "an image that is none", diun(image=["a"]), event="update", passed_over=("a list; its reference",)),
    Example("wud", "another tag", wud(), [("docker.io/team/app", "1.2", DIGEST)], "tag"),
    Example(
        "wud",
        "another digest, at a registry of one's own",
        wud(HOST, current="1.2", result={"digest": DIGEST}),
        PUSHED,
        "tag",
    ),
    Example("wud", "no registry", wud("", updateKind=None), [("team/app", "1.2", DIGEST)]),
    Example("wud", "a host that is none", wud("a b"), [], "tag", ("'a b' is not the host of a registry",)),
    Example("wud", "nothing new", wud(updateAvailable=False), event="tag", passed_over=("has no update",)),
    Example("generic", "in three fields", {"image": APP, "tag": "1.2", "digest": DIGEST}, PUSHED),
    Example("generic", "in one", {"image": f"{HOST}:5000/team/app:1.2"}, [(f"{HOST}:5000/team/app", "1.2", "")]),
    Example("generic", "no host", {"image": "app:1.2"}, [("app", "1.2", "")]),
    Example("generic", "no tag", {"image": APP}, [(APP, "latest", "")]),
    Example("generic", "a digest alone", {"image": f"{APP}@{DIGEST}"}, [(APP, "", DIGEST)]),
    Example("generic", "upper case", {"image": "Team/App:V1"}, [("team/app", "V1", "")]),
    Example("generic", "a number for a tag", {"image": APP, "tag": 1.2}, [], passed_over=("a number is not a tag",)),
    Example(
        "generic",
        "with an id of its own, and a trigger's secret",
        {"image": f"{APP}:1.2", "secret": PLANTED},
        [(APP, "1.2", "")],
        headers={"idempotency-key": "build-7"},
        delivery_id="build-7",
    ),
    Example("keel", "a push", {"name": APP, "tag": "1.2"}, [(APP, "1.2", "")]),
    Example("keel", "with a host", {"host": HOST, "name": "team/app", "tag": "1.2", "digest": DIGEST}, PUSHED),
    Example("keel", "no tag", {"name": APP, "tag": ""}, [(APP, "", "")]),
]

# Messages without a sender: a trigger's link takes them as plain calls.
FOREIGN = [
    {},
    {"name": "release", "tag": "1.2", "ref": "main"},
    {"image": ["app"]},
    {"image": {"name": "app"}},
    {"events": []},
    {"events": [1]},
    {"action": "push", "id": 1},
    {"specversion": "1.0", "type": "com.example.push", "data": {}},
    {"status": "firing", "alerts": [{"labels": {"alertname": "HighCPU"}}], "version": "4"},
]
