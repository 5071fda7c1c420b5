"""Calls of build jobs that prove themselves by an identity token instead of a secret."""

from collections.abc import Sequence

import structlog

from triggers.calls.repetitions import fit_id
from triggers.identity.conditions import find_misfit
from triggers.identity.key_sets import key_sets
from triggers.identity.presets import describe_job
from triggers.identity.tokens import BadIdentity, identify_token, names_audience, read_unverified, verify_token
from triggers.models import TrustedJob

log = structlog.get_logger("windlass.hook")


def prove_job(token_text: str, jobs: Sequence[TrustedJob]) -> tuple[str, dict[str, str]]:
    """Return the id of the delivery, which the token holds, and the identity of the first of the jobs that it fits.

    Only the issuers of these jobs are ever asked for keys. Raises BadIdentity and IssuerUnavailable.
    """
    try:
        return find_job(token_text, jobs)
    except BadIdentity as error:
        log.info("an identity token was refused", claim=error.parameter, why=error.noted)
        raise


def find_job(token_text: str, jobs: Sequence[TrustedJob]) -> tuple[str, dict[str, str]]:
    token = read_unverified(token_text)
    named = [job for job in jobs if job.issuer == token.issuer]
    if not named:
        raise BadIdentity("iss", "Its iss is the issuer of no job that this trigger trusts.")
    claims = verify_token(token, key_sets.find_key(token.issuer, token.key_id))
    meant = [job for job in named if names_audience(claims, job.audience)]
    if not meant:
        raise BadIdentity("aud", "Its aud is not the audience of a trusted job.")
    misfits = []
    for job in meant:
        if not (misfit := find_misfit(job.conditions, claims)):
            identity = {"job": job.name, "issuer": job.issuer, **describe_job(job.preset, job.issuer, claims)}
            return fit_id(identify_token(token, claims)), identity
        misfits.append(misfit)
    raise BadIdentity(misfits[0], f"Its {misfits[0]} does not fit the condition of the trusted job {meant[0].name}.")
