"""Signing in at a real identity provider, allauth's own in a process of its own, with a real browser."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from clusters.access.administrators import set_role
from clusters.models import AuditEntry, Cluster, ClusterGrant, GivenRole
from clusters.roles import Role
from console.identity.arrivals import invite
from console.identity.id_tokens import known_keys
from console.identity.protocol import discoveries
from console.models import GroupMapping, IdentityProvider, Invitation
from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.chromium import PHONE
from tests.e2e.site import Site
from tests.harness.identity_provider import CLIENT_ID, CLIENT_SECRET, PASSWORD, SCOPES, run_identity_provider
from tests.harness.identity_provider import IdentityProvider as RunningProvider

NAME = "Company"


@pytest.fixture(scope="module")
def running(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProvider]:
    people: dict[str, list[str]] = {"grace": [], "bob": []}
    with run_identity_provider(tmp_path_factory.mktemp("identity"), f"{site.url}/login/callback/", people) as provider:
        yield provider


@pytest.fixture
def row(site: Site, running: RunningProvider) -> Iterator[IdentityProvider]:
    """The provider, set up in the console, which knows nobody of it yet."""

    def add() -> IdentityProvider:
        return IdentityProvider.objects.create(
            issuer=running.issuer,
            name=NAME,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            scopes=" ".join(SCOPES),
            admits=IdentityProvider.Admits.EVERYBODY,
        )

    def clean() -> None:
        for model in (IdentityProvider, GroupMapping, SocialAccount, GivenRole, Invitation, Cluster, AuditEntry):
            model._default_manager.all().delete()
        User.objects.filter(username__in=["grace", "bob", "grace-2"]).delete()

    for name in running.groups:
        running.set_groups(name)
    discoveries.forget()
    known_keys.forget()
    added = site.do(add)
    yield added
    site.do(clean)


@pytest.fixture
def visitor(chromium: Browser, site: Site, row: IdentityProvider) -> Iterator[Visitor]:
    with open_browser(chromium, site) as visitor:
        yield visitor


@pytest.fixture
def admin(chromium: Browser, site: Site, row: IdentityProvider) -> Iterator[Visitor]:
    with open_browser(chromium, site, "admin") as visitor:
        yield visitor


def sign_in_there(page: Page, person: str) -> None:
    """Fill in the provider's own form."""
    page.wait_for_url(re.compile("/accounts/login/"))
    page.locator("input[name=login]").fill(person)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button[type=submit]").click()


def sign_in(visitor: Visitor, person: str = "grace", lands_on: str = "/") -> Page:
    page = visitor.visit("/login/")
    page.get_by_role("button", name=f"Sign in by {NAME}").click()
    if not any(cookie.get("name") == "idpsessionid" for cookie in visitor.context.cookies()):
        sign_in_there(page, person)
    page.wait_for_url(re.compile(re.escape(f"{visitor.site.url}{lands_on}") + r"(\?.*)?$"))
    return page


def sign_out(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


def expect_refusal(visitor: Visitor, words: str) -> None:
    """The refusal's own status is what the browser reports, and nothing else."""
    expect(visitor.page.get_by_role("alert")).to_contain_text(words)
    visitor.complaints = [line for line in visitor.complaints if "responded with a status of" not in line]


def roles_of(site: Site, name: str) -> set[str]:
    return site.do(lambda: set(User.objects.get(username=name).groups.values_list("name", flat=True)))


def report(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def test_somebody_signs_in_and_returns_to_where_they_were(visitor: Visitor, site: Site) -> None:
    page = visitor.visit("/users/?q=x")
    assert urlsplit(page.url).path == "/login/"
    page.get_by_role("button", name=f"Sign in by {NAME}").click()
    sign_in_there(page, "grace")
    page.wait_for_url(f"{site.url}/users/?q=x")
    visitor.complaints = [line for line in visitor.complaints if "status of 403" not in line]
    page = visitor.visit("/")
    expect(page.get_by_role("heading", name="You have no role yet")).to_be_visible()
    assert site.do(lambda: SocialAccount.objects.get().user.username) == "grace"
    assert not [cookie for cookie in visitor.context.cookies() if cookie.get("name") == "provider"]


def test_groups_give_roles_and_take_only_those(visitor: Visitor, site: Site, running: RunningProvider) -> None:
    def arrange() -> int:
        cluster = Cluster.objects.create(name="harbour", url="tcp://127.0.0.1:1")
        GroupMapping.objects.create(issuer=running.issuer, group="ops", role=Role.DEPLOYER)
        GroupMapping.objects.create(issuer=running.issuer, group="dev", role=Role.OPERATOR, cluster=cluster)
        return cluster.pk

    cluster_id = site.do(arrange)
    running.set_groups("grace", "ops", "dev", "Others")
    page = sign_in(visitor)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert roles_of(site, "grace") == {"Deployer"}
    assert site.do(lambda: ClusterGrant.objects.get(user__username="grace").role) == Role.OPERATOR
    site.do(lambda: User.objects.get(username="grace").groups.add(*User.objects.get(username="viewer").groups.all()))
    running.set_groups("grace", "OPS", "dev")
    sign_out(page)
    sign_in(visitor)
    assert roles_of(site, "grace") == {"Viewer"}
    assert site.do(lambda: ClusterGrant.objects.filter(cluster_id=cluster_id, user__username="grace").exists())
    running.set_groups("grace")
    sign_out(page)
    sign_in(visitor)
    assert roles_of(site, "grace") == {"Viewer"}
    assert not site.do(lambda: ClusterGrant.objects.filter(user__username="grace").exists())


def test_a_user_links_and_unlinks(chromium: Browser, site: Site, row: IdentityProvider) -> None:
    with open_browser(chromium, site, "viewer") as visitor:
        page = visitor.visit("/account/identities/")
        page.get_by_role("button", name=f"Link {NAME}").click()
        sign_in_there(page, "bob")
        expect(page.get_by_role("status").first).to_contain_text(f"You can sign in by {NAME} from now on.")
        visitor.visit("/account/identities/")
        report(visitor.read_in_both_themes() + visitor.measure_narrow())
        sign_out(page)
        sign_in(visitor)
        assert site.do(lambda: AuditEntry.objects.filter(action="sign_in").first().actor) == "viewer"  # type: ignore[union-attr]
        page = visitor.visit("/account/identities/")
        page.get_by_role("button", name=f"Unlink {NAME}").click()
        expect(page.get_by_text("No identity of a provider is linked to you.")).to_be_visible()


def test_an_invitation_links(visitor: Visitor, site: Site) -> None:
    def arrange() -> str:
        user = User.objects.create_user("bob")
        set_role(user, Role.OPERATOR)
        return invite(user)

    key = site.do(arrange)
    page = visitor.visit(f"/account/identities/invitation/?key={key}")
    report(visitor.read_in_both_themes() + visitor.measure_narrow())
    page.get_by_role("button", name=f"Continue by {NAME}").click()
    sign_in_there(page, "grace")
    page.wait_for_url(f"{site.url}/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert site.do(lambda: SocialAccount.objects.get().user.username) == "bob"
    page = visitor.visit(f"/account/identities/invitation/?key={key}")
    expect_refusal(visitor, "was used or has expired")


def test_the_test_page_shows_what_would_be_given(admin: Visitor, site: Site, running: RunningProvider) -> None:
    site.do(lambda: GroupMapping.objects.create(issuer=running.issuer, group="ops", role=Role.DEPLOYER))
    running.set_groups("grace", "ops", "Dev")
    page = admin.visit("/sign-in/")
    report(admin.read_in_both_themes() + admin.measure_narrow())
    page.get_by_role("button", name=f"Test {NAME}").click()
    sign_in_there(page, "grace")
    expect(page.get_by_role("heading", name=f"Test of {NAME}")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Deployer on all clusters, by ops")
    expect(page.locator("main")).to_contain_text("grace would be added")
    expect(page.get_by_role("row", name="groups")).to_contain_text('["ops", "Dev"]')
    report(admin.read_in_both_themes() + admin.measure_narrow())
    assert not site.do(lambda: SocialAccount.objects.exists() or User.objects.filter(username="grace").exists())
    admin.visit("/users/")
    expect(page.get_by_role("heading", name="Users and roles")).to_be_visible()  # still the administrator


def test_an_administrator_sets_a_provider_up(
    admin: Visitor, site: Site, running: RunningProvider, row: IdentityProvider
) -> None:
    site.do(lambda: IdentityProvider.objects.all().delete())
    page = admin.visit("/sign-in/")
    report(admin.read_in_both_themes() + admin.measure_narrow())
    expect(page.get_by_role("link", name="Add identity provider")).to_be_visible()
    admin.visit("/sign-in/providers/new/")
    report(admin.read_in_both_themes() + admin.measure_narrow())
    page.get_by_label("Name on the button").fill(NAME)
    page.get_by_label("Issuer").fill("http://id.example.com")
    page.get_by_label("Client ID").fill(CLIENT_ID)
    page.get_by_label("Client secret").fill(CLIENT_SECRET)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("It must start with https://")).to_be_visible()
    page.get_by_label("Issuer").fill(running.issuer)
    page.get_by_label("Client secret").fill(CLIENT_SECRET)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=NAME)).to_be_visible()
    page.get_by_label("Group", exact=True).fill("ops")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row", name="ops")).to_contain_text("All clusters")
    page.get_by_role("link", name=f"Delete {NAME}").click()
    expect(page.get_by_role("dialog")).to_contain_text("Roles that its groups gave are taken at once")
    report(admin.read_in_both_themes("#dialog"))
    page.get_by_role("button", name="Delete provider").click()
    expect(page.get_by_text("People sign in with a password.")).to_be_visible()


def test_the_sign_in_page_with_providers(visitor: Visitor) -> None:
    visitor.visit("/login/")
    report(visitor.read_in_both_themes() + visitor.measure_narrow())


def test_a_wrong_client_secret_is_said(visitor: Visitor, site: Site) -> None:
    def spoil() -> None:
        provider = IdentityProvider.objects.get()
        provider.client_secret = "another"
        provider.save()

    site.do(spoil)
    sign_in(visitor, lands_on="/login/callback/")
    expect_refusal(visitor, "does not accept the console's client ID and secret")
    report(visitor.read_in_both_themes() + visitor.measure_narrow())


def test_an_issuer_that_calls_itself_something_else(visitor: Visitor, site: Site, running: RunningProvider) -> None:
    other = f"http://localhost:{running.port}/"
    site.do(lambda: IdentityProvider.objects.update(issuer=other))
    page = visitor.visit("/login/")
    page.get_by_role("button", name=f"Sign in by {NAME}").click()
    expect_refusal(visitor, "calls itself")


def test_a_provider_that_is_away_leaves_the_password(visitor: Visitor, running: RunningProvider) -> None:
    running.stop()
    discoveries.forget()
    try:
        page = visitor.visit("/login/")
        page.get_by_role("button", name=f"Sign in by {NAME}").click()
        expect_refusal(visitor, "cannot be reached")
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill("a password for tests")
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    finally:
        running.start()
        discoveries.forget()


def test_an_answer_is_taken_once_and_in_its_own_browser(visitor: Visitor, chromium: Browser, site: Site) -> None:
    answers: list[str] = []
    visitor.page.on("request", lambda request: answers.append(request.url) if "/login/callback/" in request.url else None)
    sign_in(visitor)
    assert len(answers) == 1
    visitor.page.goto(answers[0])
    expect_refusal(visitor, "was not begun in this browser")
    with open_browser(chromium, site) as other:
        other.page.goto(answers[0])
        expect_refusal(other, "was not begun in this browser")
    assert site.do(lambda: AuditEntry.objects.filter(action="sign_in", actor="grace").count()) == 1


def test_the_pages_on_a_phone(chromium: Browser, site: Site, row: IdentityProvider) -> None:
    with open_browser(chromium, site, viewport=PHONE) as visitor:
        sign_in(visitor)
        page = visitor.visit("/account/identities/")
        expect(page.get_by_role("row", name=NAME)).to_contain_text("grace")
        report(visitor.find_what_sticks_out() + visitor.find_unbreakable_names())
