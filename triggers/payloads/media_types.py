"""Media types of what is stored beside images in their repositories, for senders that name them."""

from typing import Any

from triggers.payloads.fields import text

# A part of the media type of a manifest, its config, its layers or its artifact, and what it stands for.
SIDE_PRODUCTS = {
    "vnd.cncf.helm": "a Helm chart",
    "vnd.buildkit.cacheconfig": "a build cache",
    "vnd.dev.cosign": "a signature",
    "vnd.dev.sigstore": "a signature",
    "vnd.cncf.notary": "a signature",
    "vnd.in-toto": "an attestation",
    "spdx": "an SBOM",
    "cyclonedx": "an SBOM",
    "vnd.syft": "an SBOM",
}


def name_side_product(*media_types: Any) -> str:
    """Return what the first telling media type stands for: `a Helm chart`. Empty when all are an image's, or no texts."""
    kinds = [text(kind)[:200].lower() for kind in media_types]
    return next((name for kind in kinds for part, name in SIDE_PRODUCTS.items() if part in kind), "")
