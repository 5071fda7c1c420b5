"""Recognise what a build leaves in a repository beside its image. None of it is a new version of what runs.

Signatures, attestations and SBOMs are stored under tags that are made from the digest of what they are about:
`sha256-<hex>.sig`, `.att` and `.sbom` of cosign, and `sha256-<hex>` of the Distribution specification's referrers tag schema.
Caches usually have a tag that says so. triggers.payloads.media_types recognises more where the sender names media types.
"""

import re
from collections.abc import Collection

REFERRER_TAG = re.compile(r"(?:sha256-[0-9a-f]{32,64}|sha512-[0-9a-f]{32,128})(?:[._-].*)?")
CACHE_TAG = re.compile(r"(?:.*[._-])?(?:build-?cache|cache)(?:[._-].*)?", re.IGNORECASE)


def explain_side_product(tag: str, running: Collection[str] = ()) -> str:
    """Say what a tag stands for if it is not an image to run: `a build cache`. Empty for any
    other tag, and for a cache's tag that is one of the `running` ones: what runs is an image, whatever its tag looks like."""
    if REFERRER_TAG.fullmatch(tag):
        return "a signature, an attestation or an SBOM of another image"
    if CACHE_TAG.fullmatch(tag) and tag not in running:
        return "a build cache"
    return ""
