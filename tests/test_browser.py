"""The page in a browser: it draws, answers to mouse and keys, connects to nothing, and runs no text of the table."""

import io
import os
import shutil
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import firstsight
import page_contents
from firstsight.overview.example import wines
from firstsight.report.page import printable, to_html

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None or find_spec("playwright") is None:
        reason = f"needs the package playwright and one of {', '.join(BROWSERS)} on PATH"
        if os.environ.get("FIRSTSIGHT_REQUIRE_BROWSER") == "1":
            pytest.fail(f"FIRSTSIGHT_REQUIRE_BROWSER=1: {reason}")
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open contents as a page; at the end it should have stayed silent and alone."""
    contexts, complaints, requests = [], [], []

    def open_page(contents, *, width=1280, height=900, **settings):
        path = tmp_path / "page.html"
        path.write_text(to_html(contents), encoding="utf-8")
        # Places are read in the window, which should not be scrolling meanwhile.
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert {url for url in requests if url != (tmp_path / "page.html").as_uri() and url != "data:,"} == set()


def card_row(page):
    return page.locator("#card").get_attribute("data-row")


def place_of_cursor(page):
    box = page.locator("#cursor").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def settled(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def ink(page, x, y):
    """How far the map's pixels around a place of the window are from the paper."""
    return page.evaluate(
        """([x, y]) => {
          const canvas = document.getElementById("canvas");
          const box = canvas.getBoundingClientRect();
          const scale = canvas.width / box.width;
          const [left, top] = [(x - box.left) * scale - 2, (y - box.top) * scale - 2];
          const copy = new OffscreenCanvas(5, 5).getContext("2d", { willReadFrequently: true });
          copy.drawImage(canvas, left, top, 5, 5, 0, 0, 5, 5);
          const pixels = copy.getImageData(0, 0, 5, 5).data;
          return pixels.filter((_, place) => place % 4 === 3).reduce((sum, alpha) => sum + alpha, 0) / 25 / 255;
        }""",
        [x, y],
    )


def picture(page):
    return page.evaluate("() => document.getElementById('canvas').toDataURL()")


def test_hovering_shows_the_row(visit):
    contents = page_contents.example()
    page = visit(contents)
    page.locator("#map").focus()
    page.keyboard.press("Home")
    assert card_row(page) == "0"
    x, y = place_of_cursor(page)
    page.keyboard.press("Escape")
    assert card_row(page) is None
    page.mouse.move(x, y)
    row = card_row(page)
    assert row is not None
    # Another row may lie at the same pixel; the card is of the one that is shown.
    card = page.locator("#card").inner_text()
    assert f"Row {int(row) + 1}" in card
    for text in contents["cells"][row]:
        assert text in card
    page.mouse.click(x, y)
    page.mouse.move(x - 200, y)
    assert card_row(page) == row, "a clicked row should stay"


def test_a_chosen_group_dims_the_others(visit):
    page = visit(page_contents.example())
    page.locator("#map").focus()
    page.keyboard.press("Home")
    x, y = place_of_cursor(page)
    mine = page.locator("#card .of").inner_text().split("·")[0].strip()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    settled(page)
    assert ink(page, x, y) > 0.8
    entries = page.locator("#legend button")
    other = entries.filter(has_not_text=mine).first
    other.click()
    settled(page)
    assert other.get_attribute("aria-pressed") == "true"
    assert ink(page, x, y) < 0.5
    assert "others are dimmed" in page.locator("#live").inner_text()
    assert page.locator(".group.selected").count() == 1
    other.click()
    settled(page)
    assert ink(page, x, y) > 0.8
    # Cards choose as well, and lead to the map.
    page.get_by_role("button", name="Show on map group 3").click()
    assert "group 3 selected: 61 points" in page.locator("#live").inner_text()
    page.locator(".group.selected .summary").click()
    assert page.locator(".group.selected").count() == 0


def test_colours_and_legend_follow_the_choice(visit):
    page = visit(page_contents.example())
    pictures = {}
    for choice in ("group", "anomaly probability", "species", "body mass g", "sex", "sampled on"):
        page.get_by_label("Colour by").select_option(label=choice)
        settled(page)
        pictures[choice] = picture(page), page.locator("#legend").inner_text()
    assert len({drawn for drawn, _ in pictures.values()}) == len(pictures)
    assert "Gentoo" in pictures["species"][1]
    assert "no value" in pictures["sex"][1]
    assert "2007" in pictures["sampled on"][1]
    assert "looks wrong\n17" in pictures["group"][1]
    before = picture(page)
    page.get_by_label("Fade points").check()
    settled(page)
    assert picture(page) != before


def test_keys_walk_zoom_and_let_go(visit):
    page = visit(page_contents.example())
    page.locator("#map").focus()
    page.keyboard.press("Home")
    x = place_of_cursor(page)[0]
    page.keyboard.press("ArrowRight")
    assert place_of_cursor(page)[0] > x
    assert card_row(page) != "0"
    assert page.locator("#live").inner_text().startswith(f"row {int(card_row(page)) + 1}, ")
    page.keyboard.press("End")
    assert card_row(page) == "343"
    y = place_of_cursor(page)[1]
    page.keyboard.press("ArrowUp")
    assert place_of_cursor(page)[1] < y
    page.keyboard.press("Enter")
    assert "kept" in page.locator("#card").inner_text()
    settled(page)
    before = picture(page)
    page.keyboard.press("+")
    settled(page)
    assert picture(page) != before
    page.keyboard.press("0")
    settled(page)
    assert picture(page) == before
    page.keyboard.press("Escape")
    assert card_row(page) is None


def test_mouse_zooms_and_drags(visit):
    page = visit(page_contents.example())
    page.locator("#map").scroll_into_view_if_needed()
    settled(page)
    before = picture(page)
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + 200, box["y"] + 300
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(100)
    assert picture(page) == before, "a wheel on its way down the page should not zoom"
    page.mouse.down()
    page.mouse.move(x + 80, y + 40, steps=4)
    page.mouse.up()
    settled(page)
    dragged = picture(page)
    assert dragged != before
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(100)
    assert picture(page) not in {before, dragged}
    page.get_by_role("button", name="Reset").click()
    settled(page)
    assert picture(page) == before


def test_an_anomaly_is_shown_on_the_map(visit):
    contents = page_contents.example()
    page = visit(contents)
    first = contents["anomalies"]["rows"][0]
    page.locator(".anomalies tbody tr").first.locator("button").click()
    assert card_row(page) == str(first["row"])
    card = page.locator("#card").inner_text()
    assert "looks wrong" in card
    assert first["reasons"][1] in card
    assert page.evaluate("document.activeElement.id") == "map"


def test_hostile_texts_are_shown_and_do_nothing(visit):
    # Three rounds, so that each text stands in places of each kind.
    for first in range(3):
        texts = page_contents.HOSTILE[first:] + page_contents.HOSTILE[:first]
        contents = page_contents.spoiled(texts)
        page = visit(contents)
        page.locator("#map").focus()
        page.keyboard.press("Home")
        card = page.locator("#card").inner_text()
        for text in (*contents["names"], *contents["cells"]["0"]):
            assert " ".join(printable(text)[:30].split()) in " ".join(card.split())
        for option in page.locator("#colour option").all():
            page.locator("#colour").select_option(value=option.get_attribute("value"))
        page.locator("#legend button").first.click()
        settled(page)
        assert page.evaluate("typeof window.hacked") == "undefined"
        assert page.locator("img, script:not([type])").count() == 0
        assert page.locator("a[href^='javascript']").count() == 0
        page.context.close()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"width": 360, "height": 740, "has_touch": True}),
    ],
)
@pytest.mark.parametrize("make", [page_contents.example, page_contents.spoiled, page_contents.smallest])
def test_the_page_fits_its_window(visit, tmp_path, name, settings, make):
    page = visit(make(), **settings)
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.screenshot(path=tmp_path / f"{name}.png", full_page=make is page_contents.example)
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 23, 27)"
    assert dark == (name == "dark")


def test_the_theme_can_be_changed_and_paper_is_light(visit, tmp_path):
    page = visit(page_contents.example(), color_scheme="light")
    settled(page)
    light = picture(page)
    page.get_by_role("button", name="Switch to the dark theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 23, 27)"
    assert picture(page) != light
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert page.locator("details[open]").count() == 0, "what was unfolded for paper should be folded again"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert picture(page) == light
    assert page.locator("details:not([open], .long)").count() == 0
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (tmp_path / "page.pdf").stat().st_size > 50_000


def test_the_policy_holds_where_escaping_would_fail(browser, tmp_path):
    spoilt = to_html(page_contents.example())
    for attack in ("<script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>"):
        spoilt = spoilt.replace("<h1>", f"<h1>{attack}")
    path = tmp_path / "page.html"
    path.write_text(spoilt, encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    page.locator("#legend button").first.wait_for()
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
    assert len([text for text in refused if "Content Security Policy" in text]) >= 3
    context.close()


CONTRAST = """() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const clear = (colour) => colour === "transparent" || /^rgba\\(.*, 0\\)$/.test(colour);
  const paper = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return clear(colour) ? paper(element.parentElement) : colour;
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(script, svg *, option, optgroup)")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(paper(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${element.tagName} ${element.className}: ${element.textContent}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_and_controls_have_names(visit, scheme):
    page = visit(page_contents.example(), color_scheme=scheme)
    page.locator("#map").focus()
    page.keyboard.press("Home")
    page.locator("#legend button").first.click()
    assert page.evaluate(CONTRAST) == []
    nameless = "(all) => all.filter((one) => !(one.textContent.trim() || one.ariaLabel || one.labels?.length)).length"
    assert page.locator("button, select, input, a, [tabindex]").evaluate_all(nameless) == 0
    levels = page.locator("h1, h2, h3, h4").evaluate_all("(all) => all.map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_five_thousand_points_are_smooth(visit):
    page = visit(page_contents.large())
    page.locator("#map").focus()
    page.keyboard.press("Home")
    settled(page)
    # One drawing at a time: what a frame of a drag costs, with room for a busy machine.
    cost = page.evaluate(
        """async () => {
          const map = document.getElementById("map");
          const costs = [];
          for (let turn = 0; turn < 8; turn += 1) {
            const start = performance.now();
            map.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
            costs.push(performance.now() - start);
          }
          return costs.sort((a, b) => a - b)[4];
        }"""
    )
    assert cost < 200


def test_the_map_reads_well_without_scripts(visit):
    page = visit(page_contents.example(), java_script_enabled=False)
    text = page.locator("main").inner_text()
    assert "17 rows look wrong" in text
    assert "switched off" in text


def test_the_picture_in_the_readme_is_the_page(visit):
    """Written anew where FIRSTSIGHT_UPDATE_PICTURES=1 is set; fonts and last bits differ between machines."""
    found = firstsight.look(wines(), name="wines").contents
    page = visit(found, width=1240, height=1400)
    settled(page)
    kept = Path(__file__).parents[1] / "docs" / "look.png"
    taken = page.screenshot()
    if os.environ.get("FIRSTSIGHT_UPDATE_PICTURES") == "1":
        kept.write_bytes(taken)
    shown, known = (np.asarray(Image.open(file).convert("L"), int) for file in (io.BytesIO(taken), kept))
    assert shown.shape == known.shape
    assert (np.abs(shown - known) > 64).mean() < 0.05
