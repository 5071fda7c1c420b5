"""An API token in the browser and in a shell: made, used by the line that is offered, seen, and ended."""

import json
import subprocess

from playwright.sync_api import Page, expect

from tests.harness.console import RunningConsole


def run_line(line: str) -> tuple[int, dict[str, object]]:
    """Run a curl line in a shell, as somebody who pastes it. Returns status and JSON."""
    done = subprocess.run(
        ["sh", "-c", f"{line} --silent --write-out '\\n%{{http_code}}'"], capture_output=True, text=True, check=False
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_a_token_is_shown_once_works_where_its_line_is_pasted_and_ends(
    signed_in: Page, running_console: RunningConsole
) -> None:
    page = signed_in
    page.get_by_role("button", name="Account: admin").click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="API tokens").click()
    page.get_by_role("link", name="New token").click()
    dialog = page.get_by_role("dialog", name="New API token")
    expect(dialog.get_by_label("Name")).to_be_focused()
    dialog.get_by_role("button", name="Create token").click()
    expect(dialog.get_by_text("This field is required.")).to_be_visible()
    dialog.get_by_label("Name").fill("pipeline")
    dialog.get_by_label("local").check()
    dialog.get_by_role("button", name="Create token").click()

    dialog = page.get_by_role("dialog", name="API token")
    dialog.get_by_role("button", name="Copy the curl line").click()
    expect(page.locator("#announcer")).to_have_text("curl line copied.")
    line = str(page.evaluate("navigator.clipboard.readText()"))
    dialog.get_by_role("button", name="Copy the token").click()
    expect(page.locator("#announcer")).to_have_text("Token copied.")
    token = str(page.evaluate("navigator.clipboard.readText()"))
    assert token.startswith("wl_")
    assert token in line
    row = page.get_by_role("row", name="pipeline")
    expect(row).to_be_attached()  # behind the dialog
    dialog.get_by_role("link", name="Done").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert token not in page.content()

    status, body = run_line(line)
    assert (status, body["next"]) == (200, None)
    assert run_line(line.replace("/applications/", "/registries/"))[1]["results"] == []
    assert run_line(line.replace("curl", "curl -X POST").replace("/applications/", "/triggers/"))[0] == 403
    page.reload()
    expect(row).to_contain_text("from 127.0.0.1")
    for text in ("Active", "Viewer", "local", "in 89 d"):
        expect(row).to_contain_text(text)

    row.get_by_role("link", name="Replace pipeline").click()
    dialog = page.get_by_role("dialog", name="Replace API token")
    expect(dialog.get_by_label("local")).to_be_checked()
    dialog.get_by_role("button", name="Replace token").click()
    page.get_by_role("dialog", name="API token").get_by_role("link", name="Done").click()
    status, body = run_line(line)
    assert (status, body["code"]) == (401, "token_unknown")

    row.get_by_role("link", name="End pipeline").click()
    page.get_by_role("dialog", name="End API token").get_by_role("button", name="End token").click()
    expect(page.get_by_text("The token pipeline has ended.")).to_be_visible()
    expect(row).to_have_count(0)


def test_the_command_makes_one_that_works(running_console: RunningConsole) -> None:
    token = running_console.manage("create_api_token", "admin", "from a shell", "--role", "viewer", "--never").splitlines()[-1]
    line = f"curl -H 'Authorization: Bearer {token}' {running_console.url}/api/v1/clusters/"
    assert run_line(line)[0] == 200
    assert run_line(line.replace("Bearer", "Token"))[0] == 200
