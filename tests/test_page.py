"""Pages and Markdown of one table: complete, self-contained, and deaf to hostile texts. No browser is needed."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import page_contents
from firstsight.report.markdown import escaped, to_markdown
from firstsight.report.page import UNPRINTABLE, called_points, group_styles, printable, to_html

VOID = {"meta", "link", "input", "rect", "circle", "path", "img", "br", "hr"}
SECTIONS = ["map-section", "groups", "anomalies", "why", "family", "columns", "made"]
ODD_TEXTS = st.lists(st.text() | st.sampled_from(page_contents.HOSTILE), min_size=1, max_size=6)


class Reader(HTMLParser):
    """Tags, attributes and texts of a page; script, style and data are no text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.ids = [], [], [], []
        self.raw, self.texts = {}, []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            opened = self.open.pop()[0]
            assert opened == tag, f"<{opened}> is ended by </{tag}>"

    def handle_data(self, data):
        tag, attributes = self.open[-1] if self.open else ("", {})
        if tag in {"script", "style"}:
            self.raw[attributes.get("type", tag)] = data
        else:
            self.texts.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open, "all tags should be ended"
    assert len(reader.ids) == len(set(reader.ids)), "every id should be there once"
    reader.text = " ".join(" ".join(reader.texts).split())
    reader.data = json.loads(reader.raw["application/json"]) if "application/json" in reader.raw else None
    return reader


VARIANTS = {
    "example": page_contents.example,
    "hostile": page_contents.spoiled,
    "smallest": page_contents.smallest,
    "without rows": page_contents.without_rows,
    "many groups": page_contents.many_groups,
}


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
def test_pages_are_whole_and_need_nothing_else(make):
    contents = make()
    before = json.dumps(contents)
    html = to_html(contents)
    assert json.dumps(contents) == before, "arguments should not be changed"
    assert html == to_html(contents)
    html.encode("utf-8")
    page = read(html)
    sections = [name for name in SECTIONS if name != "family" or contents["family"]]
    assert [name for name in page.ids if name in SECTIONS] == sections
    assert page.tags.count("h1") == 1
    assert page.tags.count("script") == 2 - (contents["map"] is None)
    # Nothing is named that a browser would fetch, and nothing runs or is painted but what the hashes allow.
    links = {value for name, value in page.attributes if name in {"src", "href", "action", "data", "poster", "srcset"}}
    assert links == {"data:,", "#main", *(f"#{section}" for section in sections)}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|fetch\(", html)
    assert not UNPRINTABLE.search(html)


def test_the_page_says_what_the_contents_say():
    contents = page_contents.example()
    page = read(to_html(contents))
    said = [*contents["headline"], *contents["cautions"], *contents["groups"]["why"], contents["groups"]["words"]]
    said += [contents["anomalies"]["words"], contents["map"]["words"], contents["map"]["method"]]
    said += [contents["made"][name] for name in ("version", "date", "command")]
    said += [text for note in contents["notes"] for text in (note["found"], note["done"])]
    said += [column["summary"] for column in contents["columns"]] + [column["why"] for column in contents["columns"]]
    said += [finding["words"] for group in contents["groups"]["groups"] for finding in group["findings"]]
    said += [reason for odd in contents["anomalies"]["rows"] for reason in odd["reasons"]]
    said += [contents["family"]["words"], *(one["words"] for one in contents["family"]["unusual"])]
    for text in said:
        assert " ".join(text.split()) in page.text, text
    first = contents["anomalies"]["rows"][0]
    assert f"Show on the map: row {first['row'] + 1}" in page.text
    assert "344 rows × 11 columns" in page.text  # noqa: RUF001


def test_numbers_are_drawn_as_steps_and_categories_as_levels():
    contents = page_contents.example()
    findings = [finding for group in contents["groups"]["groups"] for finding in group["findings"]]
    levels = sum(finding["column"] == "species" for finding in findings)
    page = read(to_html(contents))
    assert [name for name, value in page.attributes if value == "levels"] == ["class"] * levels
    assert [name for name, value in page.attributes if value == "histogram"] == ["class"] * (len(findings) - levels)
    assert "Adelie" in page.text
    assert "part 1" in read(to_html(page_contents.without_rows())).text


def test_the_data_are_what_the_map_draws():
    contents = page_contents.example()
    data = read(to_html(contents)).data
    points = contents["map"]
    extent = max(points["x"]) - min(points["x"])
    assert len(data["x"]) == len(points["x"])
    place = 17
    assert data["x"][place] == pytest.approx(9999 * (points["x"][place] - min(points["x"])) / extent, abs=1)
    assert data["y"][place] == pytest.approx(9999 * (max(points["y"]) - points["y"][place]) / extent, abs=1)
    assert [data["rows"][place] for place in data["called"]] == sorted(
        odd["row"] for odd in contents["anomalies"]["rows"]
    )
    assert data["cells"]["17"] == contents["cells"]["17"]
    number, category = data["shades"][0], data["shades"][4]
    assert min(number["values"]) == 0
    assert max(number["values"]) == 100
    assert category["values"] == points["shades"][4]["values"]


def test_a_large_page_is_small():
    html = to_html(page_contents.large())
    assert len(html.encode()) <= 4_000_000
    assert len(read(html).data["rows"]) == 5000


def test_hostile_texts_are_texts():
    reference = read(to_html(page_contents.example()))
    for hostile in page_contents.HOSTILE:
        page = read(to_html(page_contents.spoiled((hostile,))))
        # Folds of long texts and rows whose cells are not shown may differ; nothing else may come or go.
        assert set(page.tags) <= set(reference.tags) | {"details", "summary"}
        assert page.tags.count("script") == reference.tags.count("script")
        assert " ".join(printable(hostile).split())[:60] in page.text
        assert page.data["names"][0] == printable(hostile)
        assert page.raw["module"] == reference.raw["module"]


@given(texts=ODD_TEXTS)
def test_any_texts_are_texts(texts):
    contents = page_contents.example()
    contents["groups"]["groups"] = contents["groups"]["groups"][:2]
    contents["anomalies"]["rows"] = contents["anomalies"]["rows"][:2]
    contents["headline"] = texts
    contents["names"] = [*texts, *contents["names"]][:8]
    contents["groups"]["groups"][0]["name"] = texts[0]
    contents["anomalies"]["rows"][0]["reasons"] = texts
    contents["cells"] = {row: [*texts, *cells][:8] for row, cells in list(contents["cells"].items())[:20]}
    page = read(to_html(contents))
    data = page.data
    assert data["names"] == printable(contents["names"])
    assert data["cells"]["3"] == printable(contents["cells"]["3"])
    assert data["groups"][0]["name"] == printable(texts[0])
    assert page.tags.count("script") == 2
    for text in texts:
        assert " ".join(printable(text).split())[:150] in page.text


def test_without_rows_no_cell_is_told():
    contents = page_contents.without_rows()
    contents["map"]["shades"] = page_contents.example()["map"]["shades"]
    secret = "Q7-secret-cell"
    contents["cells"] = {"0": [secret] * 8, str(contents["anomalies"]["rows"][0]["row"]): [secret] * 8}
    contents["map"]["shades"][4]["levels"] = [secret]
    html = to_html(contents)
    assert secret not in html
    assert secret not in to_markdown(contents)
    data = read(html).data
    assert data["shades"] == []
    assert data["names"] == []
    assert "Typical rows" not in html


@pytest.mark.parametrize(
    "change",
    [
        lambda contents: contents["groups"].update(groups=contents["groups"]["groups"][:1], n_groups=1),
        lambda contents: contents["groups"].update(groups=[], n_groups=0, how_clear="none"),
        lambda contents: contents["groups"].update(posterior=[], why=[], proposals=[]),
        lambda contents: contents["anomalies"].update(n_called=0, rows=[]),
        lambda contents: contents["anomalies"].update(n_called=0),
        lambda contents: contents["anomalies"].update(n_called=60),
        lambda contents: contents.update(map=None),
        lambda contents: contents["map"].update(shades=[]),
        lambda contents: contents["map"].update({name: [] for name in ("rows", "x", "y", "group", "shades")}),
        lambda contents: contents["map"].update(x=[3.0] * 344, y=[3.0] * 344),
        lambda contents: contents.update(notes=[], cautions=[], columns=[], headline=[]),
        lambda contents: contents.update(cells={}),
        lambda contents: contents["made"].update(stages=[], settings=[], seconds=0.0),
        lambda contents: contents["groups"]["groups"][0].update(findings=[], typical=[], summary=""),
        lambda contents: contents["groups"]["groups"][0]["findings"][0]["distribution"].update(
            parts=[], here=[], elsewhere=[]
        ),
        lambda contents: contents["map"]["shades"][0].update(values=[None, float("nan")] * 172, low=1.0, high=1.0),
    ],
)
def test_parts_may_be_absent(change):
    contents = page_contents.example()
    change(contents)
    read(to_html(contents))
    MarkdownIt("commonmark").enable("table").parse(to_markdown(contents))


def test_groups_differ_in_colour_and_shape():
    styles = group_styles(page_contents.many_groups(64)["groups"]["groups"])
    assert len({(style.colour, style.shape) for style in styles.values()}) == 64
    first = [styles[label] for label in range(8)]
    assert len({style.colour for style in first}) == len({style.shape for style in first}) == 8


def test_more_may_be_called_than_listed():
    contents = page_contents.example()
    contents["anomalies"]["n_called"] = 34
    called = called_points(contents, contents["map"])
    assert {odd["row"] for odd in contents["anomalies"]["rows"]} < {contents["map"]["rows"][place] for place in called}
    assert len(called) == 34


# --- Markdown ---


def rendered(text):
    """Tags and text of what Markdown becomes."""
    page = Reader()
    page.feed(MarkdownIt("commonmark").enable("table").render(text))
    page.text = " ".join(" ".join(page.texts).split())
    return page


@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS)
def test_markdown_is_tables_lists_and_texts(make):
    contents = make()
    page = rendered(to_markdown(contents))
    assert set(page.tags) <= {"h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.tags.count("h2") == 6 + bool(contents["family"])
    for part in contents["headline"]:
        assert " ".join(printable(part).split())[:300] in page.text


def test_markdown_keeps_as_many_rows_and_columns_whatever_texts_hold():
    plain = rendered(to_markdown(page_contents.example())).tags
    for hostile in page_contents.HOSTILE:
        contents = page_contents.example()
        contents["columns"][3] |= {"name": hostile, "summary": hostile, "why": hostile}
        contents["anomalies"]["rows"][2]["reasons"] = [hostile, hostile]
        contents["groups"]["groups"][1]["summary"] = hostile
        assert rendered(to_markdown(contents)).tags == plain


@given(text=st.text() | st.text(alphabet="\\|`*_[]<>&#-+=1.)(! ~$:/w"))
def test_escaped_texts_read_as_they_are(text):
    shown = escaped(printable(text), 10_000)
    words = " ".join(printable(text).split())
    assert rendered(f"- {shown}\n").text == words
    table = rendered(f"| a |\n| --- |\n| {shown} |\n")
    assert table.tags.count("td") == 1
    assert table.text.removeprefix("a").strip() == words
