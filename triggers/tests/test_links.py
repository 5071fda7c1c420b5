import contextlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.links import (
    LinkFields,
    MalformedLink,
    build_link,
    decode_trigger_url,
    encode_trigger_url,
    make_public_id,
    make_secret,
)

# The two links in the documentation of the product whose links Windlass accepts.
REDEPLOY = "YzI4YTk5NzFkZWZkYzQ2MTJiOWZkNTM1MzY2ZDU1M2NifGNvbGxlY3RkLWJlbmNobWFya3xyZWRlcGxveXwxOGlxbjc1Z25uMmVzfA=="
SCALING = "Y2IxZjI5YzhhYjIwMzRlMjBiYjc2OGUzYTlmZDgyNDAyfHdvcmRwcmVzcy10ZXN0fHNjYWxpbmd8MTkzZmEyMXFwZXVwMXw="
FIELDS = {
    REDEPLOY: LinkFields("c28a9971defdc4612b9fd535366d553cb", "collectd-benchmark", "redeploy", "18iqn75gnn2es"),
    SCALING: LinkFields("cb1f29c8ab2034e20bb768e3a9fd82402", "wordpress-test", "scaling", "193fa21qpeup1"),
}
field = st.text(st.characters(exclude_characters="|\0", exclude_categories=["Cs"]))


@pytest.mark.parametrize("value", [REDEPLOY, SCALING])
def test_documented_links_decode_to_their_fields(value):
    assert decode_trigger_url(value) == FIELDS[value]


@pytest.mark.parametrize("value", [REDEPLOY, SCALING])
def test_links_of_the_same_fields_are_byte_identical(value):
    assert encode_trigger_url(FIELDS[value]) == value


def test_a_whole_link_has_the_documented_form():
    secret = "44586c6b466352395143584c3970654ff5323d2509d546fdc1b33054b0928da8"
    link = build_link("https://cs.console.aliyun.com", FIELDS[REDEPLOY], secret)
    assert link == f"https://cs.console.aliyun.com/hook/trigger?triggerUrl={REDEPLOY}&secret={secret}"


@given(st.builds(LinkFields, field, field, field, field, field))
def test_every_link_survives_a_query_parser(fields):
    query = parse_qs(urlsplit(build_link("https://w", fields, "00")).query, keep_blank_values=True)
    assert decode_trigger_url(query["triggerUrl"][0]) == fields


@given(st.text())
def test_anything_else_is_malformed_and_nothing_worse(value):
    with contextlib.suppress(MalformedLink):
        decode_trigger_url(value)


@pytest.mark.parametrize(
    "value", ["", "%%%", "YWJj", "YWJ", "/////w==", "é", encode_trigger_url(LinkFields("c", "a", "redeploy", "\0"))]
)
def test_malformed_values_are_refused(value):
    with pytest.raises(MalformedLink):
        decode_trigger_url(value)


def test_ids_and_secrets_have_the_documented_form():
    assert re.fullmatch(r"[0-9a-v]{13}", make_public_id())
    assert re.fullmatch(r"[0-9a-f]{64}", make_secret())
    assert make_secret() != make_secret()
