"""The guide has a page for everything that is defined, shows all of it, and no link of it is broken."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import httpx
import pytest

from service.app import create_app
from service.conformance.definitions import OWN_RESOURCES, Definitions
from service.conformance.terminology import Terminology
from service.fhir.json import decode
from service.settings import Settings, shipped
from service.web.guide import codes, elements
from service.web.guide.content import guide
from service.web.guide.requirements import REQUIREMENTS
from service.web.html import HERE

COMPILED = shipped(*OWN_RESOURCES)
CONFORMANCE = sorted(guide().by_url.values(), key=lambda one: one.href)
STRUCTURES = guide().of_kind("StructureDefinition")
OTHER_HOSTS = ("http://", "https://")


class Page(HTMLParser):
    """What a page has: links, ids, tags, the text that a reader sees."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags[tag] += 1
        self.attributes.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.append(found.get("href") or "")

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
async def web(sqlite_template: Path, tmp_path: Path, definitions: Definitions) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service on an empty store; the guide asks no database."""
    file = Path(shutil.copy(sqlite_template, tmp_path / "guide.sqlite"))
    app = create_app(Settings(database_url=f"sqlite:///{file}", data_dir=tmp_path), definitions)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def page(web: httpx.AsyncClient, address: str) -> Page:
    answer = await web.get(address)
    assert answer.status_code == 200, address
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


async def test_every_definition_has_a_page_with_its_words(web: httpx.AsyncClient) -> None:
    assert len(CONFORMANCE) == sum("url" in json.loads(path.read_bytes()) for path in COMPILED.glob("*.json"))
    for one in CONFORMANCE:
        seen = (await page(web, one.href)).text
        for word in (one.title, one.resource["url"], one.resource["status"], one.resource["version"]):
            assert word in seen, (one.href, word)


async def test_page_of_a_structure_names_its_elements_and_rules(web: httpx.AsyncClient) -> None:
    for one in STRUCTURES:
        seen = await page(web, one.href)
        snapshot = {element["id"] for element in one.resource["snapshot"]["element"]}
        said = {element["id"] for element in one.resource["differential"]["element"]}
        assert {f"s-{id_}" for id_ in snapshot} <= set(seen.ids), one.href
        assert {f"d-{id_}" for id_ in said} <= set(seen.ids), one.href
        for rule in elements.invariants(one.resource):
            assert rule.key in seen.text
            assert not rule.own or rule.human in seen.text


async def test_page_of_codes_names_every_code(web: httpx.AsyncClient) -> None:
    for kind in ("CodeSystem", "ConceptMap"):
        for one in guide().of_kind(kind):
            seen = (await page(web, one.href)).text
            listed = [concept.code for concept in codes.concepts(one.resource)] if kind == "CodeSystem" else []
            if kind == "ConceptMap":
                listed = [row.source for _, _, rows in codes.mappings(guide(), one.resource) for row in rows]
            assert listed
            assert [code for code in listed if code not in seen] == []


async def test_page_of_a_value_set_shows_its_expansion(web: httpx.AsyncClient, definitions: Definitions) -> None:
    terminology = Terminology(definitions)
    for one in guide().of_kind("ValueSet"):
        seen = (await page(web, one.href)).text
        expanded = terminology.expand(one.resource["url"])
        assert expanded is not None
        assert [code for members in expanded.values() for code in members if code not in seen] == []


async def test_page_of_a_profile_shows_its_examples(web: httpx.AsyncClient) -> None:
    for one in guide().profiles():
        seen = await page(web, one.href)
        good, bad = guide().examples_of(one.resource["url"]), guide().bad_of(one.resource["url"])
        assert good, one.id
        assert bad, one.id
        assert {document.href for document in (*good, *bad)} <= set(seen.links)


async def test_crawl_finds_no_broken_link_and_every_page(web: httpx.AsyncClient) -> None:
    waiting, seen = ["/ig"], set()
    found: dict[str, Page] = {}
    fragments: list[tuple[str, str, str]] = []
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = await web.get(address)
        assert answer.status_code == 200, address
        if not address.startswith("/ig") or "html" not in answer.headers["content-type"]:
            continue
        found[address] = Page(answer.text)
        for link in found[address].links:
            target, fragment = urldefrag(link)
            if target.startswith(OTHER_HOSTS):
                continue
            assert target.startswith("/") or (not target and fragment), (address, link)
            fragments.append((address, target or address, fragment))
            waiting.append(target or address)
    for source, target, fragment in fragments:
        assert not fragment or target not in found or fragment in found[target].ids, (source, target, fragment)
    every = {one.href for one in (*guide().documents.values(), *guide().bad.values())}
    assert every <= found.keys()


async def test_pages_are_accessible_and_load_nothing(web: httpx.AsyncClient) -> None:
    addresses = ["/", "/ig", "/ig/requirements", *(one.href for one in CONFORMANCE)]
    addresses += [next(iter(guide().bad.values())).href, guide().examples()[0].href]
    for address in addresses:
        seen = await page(web, address)
        assert seen.tags["h1"] == seen.tags["main"] == seen.tags["title"] == 1, address
        assert not seen.tags["script"] + seen.tags["img"], address
        assert len(seen.ids) == len(set(seen.ids)), address
        assert "main" in seen.ids
        for tag, attributes in seen.attributes:
            assert tag != "th" or attributes.get("scope") in ("row", "col"), address
            assert not any(name.startswith("on") for name in attributes), address
            assert tag != "link" or str(attributes["href"]).startswith("/static/"), address


async def test_json_of_a_document_is_the_compiled_resource(web: httpx.AsyncClient) -> None:
    for one in (STRUCTURES[0], guide().examples()[0], next(iter(guide().bad.values()))):
        answer = await web.get(f"{one.href}.json")
        assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
        assert decode(answer.content, max_depth=200) == one.resource


@pytest.mark.parametrize(
    "address", ["/ig/ValueSet/nothing", "/ig/bad/nothing", "/ig/Nothing/x", "/ig/bad/nothing.json", "/ig/ValueSet"]
)
async def test_page_that_does_not_exist_is_404(web: httpx.AsyncClient, address: str) -> None:
    answer = await web.get(address)
    assert answer.status_code == 404
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "unknown-address"


async def test_start_page_leads_to_the_guide(web: httpx.AsyncClient) -> None:
    assert "/ig" in (await page(web, "/")).links


def test_requirements_name_every_profile_once() -> None:
    named = [name for one in REQUIREMENTS for name in one.profiles]
    assert sorted(named) == sorted(one.id for one in guide().profiles())


async def test_requirements_show_every_rule_and_what_is_left(web: httpx.AsyncClient) -> None:
    seen = await page(web, "/ig/requirements")
    for one in guide().profiles():
        for rule in elements.invariants(one.resource):
            assert not rule.own or f"{one.href}#rule-{rule.key}" in seen.links
    for one in REQUIREMENTS:
        assert all(f"{what}: {why}." in seen.text for what, why in one.left)


# The look


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb: https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_have_the_contrast_of_wcag_aa() -> None:
    style = (HERE / "static" / "pages.css").read_text(encoding="utf-8")
    themes = [dict(re.findall(r"--(\w+): (#\w+);", line)) for line in style.splitlines() if ":root {" in line]
    assert len(themes) == 3  # light, dark, print
    for theme in themes:
        for text in ("ink", "soft", "accent"):
            for ground in ("paper", "shade"):
                light, dark = sorted((luminance(theme[text]), luminance(theme[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground, theme)
