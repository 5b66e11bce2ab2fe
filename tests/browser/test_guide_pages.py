"""The guide as a person sees it: on a wide and a narrow screen, without scripts, on paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

ADDRESSES = (
    "/ig",
    "/ig/requirements",
    "/ig/StructureDefinition/ice-score",
    "/ig/ValueSet/disease",
    "/ig/CodeSystem/error",
    "/ig/ConceptMap/disease",
    "/ig/CapabilityStatement/trial-server",
    "/ig/SearchParameter/AdverseEvent-suspect-product",
    "/ig/bad/ice-score-cf-ice-sum",
)


@pytest.mark.parametrize("width", [1280, 380])
def test_page_of_the_guide_fits_the_screen(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for path in ADDRESSES:
        page.goto(address + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_guide_leads_from_start_page_to_a_rule(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("navigation").get_by_role("link", name="Profiles").click()
    page.get_by_role("link", name="ICE score").click()
    elements = page.get_by_role("table", name="What the profile adds to Observation")
    expect(elements.get_by_role("row", name="component:naming")).to_contain_text("1..1")
    elements.get_by_role("link", name="cf-ice-sum").click()
    rule = page.locator("#rule-cf-ice-sum")
    expect(rule).to_be_in_viewport()
    expect(rule).to_contain_text("The ICE score is the sum of its items")


def test_bad_example_opens_and_leads_to_validation_in_swagger(page: Page, address: str) -> None:
    page.goto(f"{address}/ig/StructureDefinition/ice-score")
    bad = page.locator("details").filter(has_text="A score of 9 from items that give 8")
    expect(bad.locator("pre")).to_be_hidden()
    bad.locator("summary").click()
    expect(bad.locator("pre")).to_contain_text('"valueInteger": 9')
    page.get_by_role("link", name="in Swagger").first.click()
    page.locator("[id$='-validate'] .opblock-body").wait_for()


def test_bad_example_is_refused_where_its_page_says(page: Page, address: str) -> None:
    shown = page.request.get(f"{address}/ig/bad/ice-score-cf-ice-sum.json").body()
    answer = page.request.post(
        f"{address}/fhir/Observation/$validate", data=shown, headers={"content-type": "application/fhir+json"}
    ).json()
    (issue,) = answer["issue"]
    page.goto(f"{address}/ig/bad/ice-score-cf-ice-sum")
    expect(page.locator("dl.facts")).to_contain_text(issue["expression"][0])
    expect(page.locator("dl.facts")).to_contain_text(issue["details"]["coding"][0]["code"])


def test_guide_works_without_scripts(browser: Browser, address: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}/ig")
    page.get_by_role("link", name="Toxicity grade", exact=True).click()
    expect(page.get_by_role("table", name="Rules of the profile")).to_contain_text("cf-grade-derived")


def test_print_shows_what_is_folded_and_hides_the_menu(page: Page, address: str) -> None:
    page.goto(f"{address}/ig/StructureDefinition/ice-score")
    page.emulate_media(media="print")
    expect(page.locator("header nav")).to_be_hidden()
    expect(page.locator("details pre").first).to_be_visible()
