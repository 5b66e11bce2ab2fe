"""What a person sees: the start page, the tables, Swagger with an example executed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect


def test_home_leads_to_swagger_tables_and_a_first_search(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("ISIKOK-19")
    targets = [link.get_attribute("href") or "" for link in page.get_by_role("link").all()]
    assert {"/docs", "/trial/isikok-19/tables/1", "/trial/isikok-19/tables/2"} <= set(targets)
    for target in dict.fromkeys(targets):
        assert page.request.get(address + target).status == 200, target


@pytest.mark.parametrize(("number", "rows", "seen"), [(1, 7, "Age/gender"), (2, 2, "ORR")])
def test_table_shows_its_rows(page: Page, address: str, number: int, rows: int, seen: str) -> None:
    page.goto(f"{address}/trial/isikok-19/tables/{number}")
    table = page.get_by_role("table").first
    expect(table).to_contain_text(seen)
    assert table.locator("tbody tr").count() == rows


def test_table_links_to_the_patient(page: Page, address: str) -> None:
    page.goto(f"{address}/trial/isikok-19/tables/1")
    target = page.get_by_role("table").first.locator("tbody a").first.get_attribute("href")
    assert page.request.get(f"{address}{target}").json()["resourceType"] == "Patient"


@pytest.mark.parametrize("operation", ["read", "transaction", "searchFerritin", "table"])
def test_swagger_executes_an_example(page: Page, address: str, operation: str) -> None:
    page.goto(f"{address}/docs")
    block = page.locator(f"[id$='-{operation}']")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200")
    expect(answer.locator(".highlight-code").first).to_be_visible()


def test_swagger_lists_every_operation(page: Page, address: str) -> None:
    page.goto(f"{address}/docs")
    page.locator(".opblock").first.wait_for()
    document = page.request.get(f"{address}/openapi.json").json()
    assert page.locator(".opblock").count() == sum(len(methods) for methods in document["paths"].values())
