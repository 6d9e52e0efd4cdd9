"""Write docs/how-good.md from the tables in README.md and the measurements in benchmarks/LOG.md.

    python runs/docs_figures.py            # write the page
    python runs/docs_figures.py --check    # say whether it is what would be written; exit code 1 when it is not

No number of the page is typed anywhere else. Its short part takes the tables of README.md; a sentence of the log that
says in bold that a goal was missed is listed; its long part takes each entry of the log down to where it begins to
tell what was tried.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/how-good.md"
# What a table in README.md holds, and the heading it gets here; others have that of their section.
HEADINGS = {
    "**`Clusterer()`": "Clusters of a table",
    "**`AnomalyDetector()`": "Anomalies of a table",
    "| **MAML** |": "Clusters of pictures from few rows",
}
SAID = {"Its map": "A map of a table"}  # sections whose figures are in a paragraph
FIGURES = 6  # numbers behind a point that a table of measurements has, at least
NUMBER = re.compile(r"\.\d\d")
DATE = re.compile(r"(\d{4}-\d{2}-\d{2}(?:/\d{2})?):\s*")
# Where an entry of the log begins to tell what was tried; what is kept after that; paragraphs that are left out before;
# and what begins with words in bold that is left out down to the next such words.
TRIED = ("What was tried", "What lost", "How it came about", "What did not work")
AFTER = ("Time (",)
BEFORE = ("A first judge", "Other rules.")
DROPPED = re.compile(r"\*\*[^*]*not kept[^*]*\*\*")
MISSED = re.compile(r"\*\*[^*]*(?:not reached|missed)|\bgoal\b.*\b(?:not reached|missed)\b")
SENTENCE = re.compile(r"(?<=\.)\s+(?=[A-Z\d*`(])")

HEAD = """\
---
hide:
  - navigation
---

# How good is it

<!-- Written by runs/docs_figures.py from README.md and benchmarks/LOG.md: change those, and run it. -->

Every figure on this page is taken from the project's log of measurements, `benchmarks/LOG.md`, or from its
README. Each has a command and a seed there. Means come with 95 % intervals in square brackets. Larger is better, but
for losses, times and ranks.

- *Adjusted Rand index*: agreement of a clustering with the truth. 1 is perfect, 0 is chance.
- *AUROC*: how often an anomaly is scored above a normal row. .5 is chance.
- *Average precision*: how pure the top of the ranking is. Chance is the share of anomalies.
- *Told k*: the rival is given the true number of clusters. firstsight is not, unless a row says so.
"""
NOT_REACHED = """\
## What was not reached

The log names the goals of a measurement. These were missed. Newest first: a later entry may replace an earlier one.
"""
DETAIL = """\
## The measurements

From the log: how each was made, and what came out. What was tried on the way is in the log alone.
"""


def blocks(text: str) -> list[str]:
    """Paragraphs, lists, tables and fenced blocks of Markdown, each whole."""
    found: list[str] = []
    fenced = False
    fresh = True
    for line in text.splitlines():
        if not fenced and not line.strip():
            fresh = True
            continue
        if fresh:
            found.append(line)
        else:
            found[-1] += "\n" + line
        fresh = False
        if line.lstrip().startswith("```"):
            fenced = not fenced
    return found


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Title and body of every ``##`` section."""
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        yield title.strip(), body


def is_figures(block: str) -> bool:
    """Whether a block is a table or preformatted."""
    return block.startswith(("|", "```"))


def short(readme: str) -> Iterator[str]:
    """The tables of measurements of the README, each with the paragraph that follows; those of one table first."""
    kept: list[tuple[str, str]] = []
    for title, body in sections(readme):
        found = blocks(body)
        for block, after in zip(found, [*found[1:], ""], strict=True):
            if block.startswith("|") and len(NUMBER.findall(block)) >= FIGURES:
                heading = next((heading for key, heading in HEADINGS.items() if key in block), title)
                prose = "" if is_figures(after) or after.startswith(("#", "!")) else after
                kept.append((heading, f"{block}\n\n{prose}".rstrip()))
            elif title in SAID and not is_figures(block) and NUMBER.search(block):
                kept.append((SAID[title], block))
    order = [*HEADINGS.values()]
    order[-1:-1] = SAID.values()
    for heading, text in sorted(kept, key=lambda one: order.index(one[0]) if one[0] in order else len(order)):
        yield f"### {heading}"
        yield text


def missed(log: str) -> Iterator[str]:
    """A list for each entry of the log: the sentences that say what was missed."""
    for title, body in sections(log):
        prose = [" ".join(block.split()) for block in blocks(body) if not is_figures(block)]
        said = [sentence for block in prose for sentence in SENTENCE.split(block) if MISSED.search(sentence)]
        if said:
            yield "\n".join([f"- *{name_of(title)}*", *(f"    - {sentence.rstrip(':')}" for sentence in said)])


def detail(log: str) -> Iterator[str]:
    """Every entry of the log down to where it says what was tried."""
    for title, body in sections(log):
        yield f"### {name_of(title)}"
        if date := DATE.match(title):
            yield f"*Measured on {date[1]}.*"
        dropped = told = False
        for block in blocks(body):
            if told and not block.startswith(AFTER):
                continue
            dropped = bool(DROPPED.match(block)) if block.startswith("**") else dropped
            if block.lstrip("- *").startswith(TRIED):
                told = True
                continue
            if dropped or block.startswith(BEFORE):
                continue
            cut = min((at for word in TRIED if (at := block.find(f" {word}")) > 0), default=None)
            cut = None if block.startswith("```") else cut
            yield block[:cut].rstrip().replace("](../docs/", "](")
            told = told or cut is not None


def name_of(title: str) -> str:
    """The title of an entry without its date, beginning with a capital."""
    name = DATE.sub("", title, count=1)
    return name[:1].upper() + name[1:]


def page(readme: str, log: str) -> str:
    """The whole page."""
    preamble = " ".join(blocks(log.split("\n## ", 1)[0])[-1].split())
    machine = preamble[preamble.find("Times are") :] if "Times are" in preamble else ""
    parts = [
        HEAD.rstrip(), "## In short", *short(readme), NOT_REACHED.rstrip(), "\n".join(missed(log)), DETAIL.rstrip(),
        *([machine] if machine else []), *detail(log),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    asked = parser.parse_args()
    text = page((ROOT / "README.md").read_text(), (ROOT / "benchmarks/LOG.md").read_text())
    path = ROOT / PAGE
    if not asked.check:
        path.write_text(text)
        print(f"{PAGE} written")
    elif not path.is_file() or path.read_text() != text:
        sys.exit(f"{PAGE} is not what README.md and benchmarks/LOG.md say; run python runs/docs_figures.py")


if __name__ == "__main__":
    main()
