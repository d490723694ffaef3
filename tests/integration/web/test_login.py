"""Users who log in on the page: what they can do there, with whose rights, and what nobody can do for them."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, expect

from kadeploy_cli.connection.settings import VARIABLE
from kadeploy_cli.ka import ka
from kadeploy_edge.delegation import make_delegation
from tests.integration.web.test_page import assert_accessible, opened, picture
from tests.web_site import WebSite, page_process

pytestmark = pytest.mark.integration
SPEC = {"nodes": "node-[43-44]", "environment_name": "debian", "device": "sda", "partition": 3}


def token_of(web: WebSite, user: str, *, may_change: bool = True, presenter: str = "user:web") -> str:
    return make_delegation(
        web.site.files(user), presenter=presenter, lifetime=timedelta(hours=1), may_change=may_change
    )


def post(web: WebSite, path: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any, Any]:
    sent = {"Origin": web.url, "Content-Type": "application/json", **(headers or {})}
    status, answered, content = web.fetch(path, method="POST", headers=sent, body=json.dumps(body).encode())
    return status, answered, json.loads(content)


def logged_in(web: WebSite, user: str, *, may_change: bool = True) -> dict[str, str]:
    """Returns the headers that a browser of this user sends with a change."""
    status, headers, answer = post(web, "/api/v1/login", {"token": token_of(web, user, may_change=may_change)})
    assert status == 200, answer
    return {"Cookie": headers["Set-Cookie"].partition(";")[0], "X-Kadeploy-CSRF": answer["csrf"]}


def test_a_user_logs_in_by_what_the_command_prints_and_plans_starts_and_cancels(
    browser: Browser, web: WebSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, files = tmp_path / "client.toml", web.site.files("alice")
    settings.write_text(
        f'[tls]\ncertificate = "{files.certificate}"\nprivate_key = "{files.private_key}"\nca = "{files.ca}"\n'
    )
    monkeypatch.setenv(VARIABLE, str(settings))
    printed = CliRunner().invoke(ka, ["web", "login", web.url], catch_exceptions=False).output.strip()
    assert printed.startswith(f"{web.url}/#login=")
    web.pace(seconds=0.02, held=["node-42"])
    with opened(browser, web, printed.removeprefix(web.url)) as page:
        expect(page.get_by_text("alice", exact=True)).to_be_visible()
        assert page.url == f"{web.url}/"
        page.get_by_role("link", name="Deploy", exact=True).click()
        page.get_by_label("Nodes", exact=True).fill("node-[41-42]")
        page.get_by_label("Environment").select_option(label="debian 1 (root)")
        page.get_by_label("Disk", exact=True).fill("sda")
        page.get_by_label("Partition", exact=True).fill("3")
        page.get_by_role("button", name="Show the plan").click()
        expect(page.get_by_role("heading", name="Plan")).to_be_visible()
        expect(page.get_by_text("broadcast on node-41")).to_be_visible()
        picture(page, "plan-light")
        assert_accessible(page)
        page.get_by_role("button", name="Deploy debian 1 on 2 nodes").click()
        expect(page.locator('.cell[data-node="node-41"]')).to_have_attribute("aria-label", re.compile("deployed"))
        page.get_by_role("button", name="Cancel …").click()
        page.get_by_label("Reason").fill("wrong environment")
        picture(page, "cancel-light")
        page.get_by_role("button", name="Cancel the deployment").click()
        expect(page.locator("dl")).to_contain_text("wrong environment")
        page.goto(f"{web.url}/nodes/node-41")
        page.get_by_text("What format printed").click()
        expect(page.get_by_text("format node-41: done")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        expect(page.get_by_text("What format printed")).to_have_count(0)


def test_a_user_without_a_right_is_told_so_and_a_login_to_read_offers_no_change(browser: Browser, web: WebSite) -> None:
    with opened(browser, web, f"/deploy#login={token_of(web, 'bob')}") as page:
        page.get_by_label("Nodes", exact=True).fill("node-1")
        page.get_by_label("Disk", exact=True).fill("sda")
        page.get_by_label("Partition", exact=True).fill("3")
        page.get_by_role("button", name="Show the plan").click()
        expect(page.get_by_role("alert").filter(has_text="bob has no right to deploy")).to_be_visible()
    with opened(browser, web, f"/deploy#login={token_of(web, 'alice', may_change=False)}") as page:
        expect(page.get_by_text("alice (read only)")).to_be_visible()
        expect(page.get_by_text("Log in to plan and start deployments")).to_be_visible()
        expect(page.get_by_role("link", name="Deploy", exact=True)).to_have_count(0)
    with opened(browser, web, "/#login=forged") as page:
        expect(page.get_by_role("alert").filter(has_text="this is no login")).to_be_visible()
        picture(page, "login-light")
        assert_accessible(page)


def test_a_change_needs_the_cookie_the_token_of_the_page_and_its_origin(web: WebSite) -> None:
    headers = logged_in(web, "alice")
    body = {"spec": SPEC, "request_id": "9a51b4b6-1d7c-4f7e-93a4-57e8c7b1d001"}
    assert post(web, "/api/v1/deployments", body)[0] == 401
    assert post(web, "/api/v1/deployments", body, {"Cookie": headers["Cookie"]})[0] == 403
    assert post(web, "/api/v1/deployments", body, {**headers, "X-Kadeploy-CSRF": "guessed"})[0] == 403
    assert post(web, "/api/v1/deployments", body, {**headers, "Origin": "https://evil.example"})[0] == 403
    web.pace(seconds=0.0)
    status, _, made = post(web, "/api/v1/deployments", body, headers)
    assert (status, made["owner"]) == (201, "alice")
    assert post(web, "/api/v1/deployments", body, headers)[2]["id"] == made["id"]
    with web.client("alice") as alice:
        alice.wait(made["id"], seconds=20)
    assert (
        post(web, f"/api/v1/deployments/{made['id']}/cancel", {}, headers)[2]["error"]["reason"]
        == "DEPLOYMENT_FINISHED"
    )


def test_nobody_acts_with_more_rights_than_their_own(web: WebSite) -> None:
    body = {"spec": SPEC, "request_id": "9a51b4b6-1d7c-4f7e-93a4-57e8c7b1d002"}
    assert post(web, "/api/v1/deployments", body, logged_in(web, "bob"))[2]["error"]["reason"] == "RIGHT_MISSING"
    read_only = logged_in(web, "alice", may_change=False)
    assert post(web, "/api/v1/deployments", body, read_only)[2]["error"]["reason"] == "NOT_DELEGABLE"
    behalf = {"spec": {**SPEC, "user": "alice"}, "request_id": body["request_id"]}
    assert post(web, "/api/v1/deployments", behalf, logged_in(web, "bob"))[0] in (400, 403)


def test_a_login_that_a_service_refuses_is_none(web: WebSite) -> None:
    for token in (token_of(web, "mallory"), token_of(web, "alice", presenter="user:bob")):
        assert post(web, "/api/v1/login", {"token": token})[2]["error"]["reason"] == "INVALID_DELEGATION"
    bodies: list[Any] = [
        {"token": "x"},
        {"token": ""},
        {"token": 7},
        {"token": token_of(web, "alice")[:-3]},
        {},
        [],
        {"token": "a" * 10_000},
    ]
    for body in bodies:
        # A text that was cut may still be a token, of another signature.
        assert post(web, "/api/v1/login", body)[0] in {400, 403}


def test_the_cookie_is_for_this_page_alone_and_dies_with_the_log_out(web: WebSite) -> None:
    _, headers, _ = post(web, "/api/v1/login", {"token": token_of(web, "alice")})
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token_of(web, "alice").partition(".")[0] not in cookie
    sent = logged_in(web, "alice")
    assert json.loads(web.fetch("/api/v1/session", headers=sent)[2])["user"] == "alice"
    post(web, "/api/v1/logout", {}, sent)
    assert json.loads(web.fetch("/api/v1/session", headers=sent)[2])["user"] == ""


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"nodes": 7}, "spec: "),
        ({"nodes": "node-1", "colour": "red"}, "colour"),
        ("node-1", "spec must be an object"),
        ({"nodes": "node-[1-", "environment_name": "debian"}, "at character"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(web: WebSite, spec: Any, sentence: str) -> None:
    status, _, answer = post(web, "/api/v1/plan", {"spec": spec}, logged_in(web, "alice"))
    assert status == 400
    assert sentence in answer["error"]["message"]


@pytest.fixture
def closed(web: WebSite, tmp_path: Path) -> Iterator[WebSite]:
    """The same page, for users alone."""
    config = tmp_path / "web.toml"
    config.write_text('readers = "users"\n' + (web.site.directory / "web.toml").read_text())
    with page_process(config, tmp_path / "log") as (url, process):
        yield WebSite(site=web.site, url=url, process=process)


def test_where_only_users_may_read_nobody_else_sees_any_data(browser: Browser, closed: WebSite) -> None:
    for path in ("/api/v1/cluster", "/api/v1/events", "/api/v1/deployments", "/api/v1/nodes/node-1", "/api/v1"):
        assert closed.fetch(path)[0] == 401
    bearer = {"Authorization": f"Bearer {token_of(closed, 'bob')}"}
    assert closed.fetch("/api/v1/cluster", headers=bearer)[0] == 200
    assert closed.fetch("/api/v1/cluster", headers={"Authorization": f"Bearer {token_of(closed, 'mallory')}"})[0] == 401
    body = json.dumps({"spec": SPEC}).encode()
    assert closed.fetch("/api/v1/plan", method="POST", headers={**bearer, "Origin": closed.url}, body=body)[0] == 401
    with opened(browser, closed, "/") as page:
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("What it printed").fill(token_of(closed, "bob"))
        page.get_by_role("dialog").get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Cluster")).to_be_visible()
        expect(page.locator(".cell").first).to_be_visible()
