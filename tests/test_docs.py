"""What the documentation says is executed: snippets, commands, links, names, figures."""

import importlib
import inspect
import pkgutil
import re
import runpy
import shlex
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cyclopts.exceptions import CycloptsError

import firstsight
from firstsight import cli
from firstsight.commands import family

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
OURS = {name: text for name, text in PAGES.items() if not name.startswith("decisions/")}
WRITTEN = {**OURS, "README.md": (ROOT / "README.md").read_text()}
NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
# Too long to be run here; tests of their own run them. Their flags are read all the same.
LONG = ("demo",)
FOREIGN = (
    "/work/",
    "/root/",
    "/tmp/",
    "http://",
    "https://",
)  # the pages name nothing outside, and nothing of a machine


def snippets(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def outside_code(text):
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def commands(text):
    """Lines of a page that call firstsight, as arguments."""
    lines = [line.removeprefix(".venv/bin/") for block in snippets(text, "sh") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("firstsight ")]


def anchors(text):
    """What a page can be linked to, as mkdocs names headings."""
    titles = re.findall(r"^#+ (.*)", outside_code(text), flags=re.M)
    plain = [re.sub(r"[^\w\s-]", "", title).strip().lower() for title in titles]
    return {re.sub(r"[\s-]+", "-", title) for title in plain}


def called(monkeypatch, arguments):
    """Exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["firstsight", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return end.code or 0
    return 0


# README's are run by tests/test_package.py.
@pytest.mark.parametrize("name", [name for name, text in OURS.items() if snippets(text, "python")])
def test_the_snippets_of_a_page_run_in_order(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = types.ModuleType("page")
    for block in snippets(PAGES[name], "python"):
        exec(compile(block, f"docs/{name}", "exec"), vars(page))


ASKED = sorted({tuple(arguments) for text in WRITTEN.values() for arguments in commands(text)})


@pytest.mark.parametrize("arguments", ASKED, ids=" ".join)
def test_a_command_is_one_that_the_command_line_takes(arguments, monkeypatch):
    if arguments[0] == "meta-train":  # its flags depend on each other: it reads them itself
        asked = []
        monkeypatch.setattr(family, "train_run", lambda *given: asked.append(given))
        monkeypatch.setattr(family, "keep_freed_memory", lambda: None)
        assert called(monkeypatch, arguments) == 0
        assert asked or "--help" in arguments
        return
    command, _, _ = cli.app.parse_args(arguments, exit_on_error=False, print_error=False)
    assert command is not None


def test_a_flag_that_is_none_would_be_noticed():
    with pytest.raises(CycloptsError, match="nonsense"):
        cli.app.parse_args(["look", "data.csv", "--nonsense"], exit_on_error=False, print_error=False)


def test_commands_that_only_tell_tell(monkeypatch, capsys):
    told = [arguments for arguments in ASKED if arguments[-1] in ("list", "--help") or arguments[0] == "data"]
    assert {("list",), ("data", "list")} <= set(told)
    for arguments in told:
        assert called(monkeypatch, arguments) == 0, arguments
        assert capsys.readouterr().out


def shop(seed, n_rows=100):
    """A table of three kinds of days, whose levels differ from shop to shop."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n_rows)
    sold = np.array([10.0, 40.0, 80.0])[kind] + rng.normal(0, 3, n_rows) + rng.normal(0, 2)
    return pd.DataFrame({"sold": sold, "visits": np.array([5.0, 50.0, 9.0])[kind] + rng.normal(0, 2, n_rows)})


def test_look_does_what_the_first_page_says(tmp_path, monkeypatch, capsys):
    assert ["look", "data.csv"] in commands(PAGES["index.md"])
    shop(0, 60).to_csv(tmp_path / "data.csv", index=False)
    monkeypatch.chdir(tmp_path)
    assert called(monkeypatch, ["look", "data.csv", "--seed", "1"]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 20
    page = (tmp_path / "data.csv.firstsight.html").read_text()
    assert "data.csv" in page


def test_the_commands_on_a_family_run_as_the_guide_has_them(tmp_path, monkeypatch, capsys):
    for folder, seeds in (("tables", range(12)), ("other-tables", range(20, 24))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            shop(seed).to_csv(tmp_path / folder / f"{seed}.csv", index=False)
    shop(30, 24).to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.chdir(tmp_path)
    guide = [arguments for arguments in commands(PAGES["guides/family.md"]) if "--help" not in arguments]
    assert [arguments[0] for arguments in guide] == ["meta-train", "test", "adapt"]
    for arguments in guide:
        few = {"meta-train": ["--steps", "5", "--meta-batch", "4", "--backend", "vmap", "--chunk", "4"]}
        assert called(monkeypatch, [*arguments, *few.get(arguments[0], [])]) == 0, arguments
    assert "95 % interval" in capsys.readouterr().out
    assert "cluster" in pd.read_csv(tmp_path / "out.csv").columns


def test_every_command_has_a_section():
    result = {name for name in cli.app if not name.startswith("-")}
    assert result <= anchors(PAGES["commands.md"]), "docs/commands.md should tell of every command"


def test_bad_input_and_exit_codes_are_as_the_page_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = dict(re.findall(r"^\| (\d+) \| (\w+)", PAGES["commands.md"], flags=re.M))
    assert said == {"0": "done", str(cli.BAD_INPUT): "bad", str(cli.INTERRUPTED): "interrupted"}
    Path("one.csv").write_text("a\n1\n2\n3\n")
    assert called(monkeypatch, ["look", "one.csv"]) == cli.BAD_INPUT
    assert "column" in capsys.readouterr().err


def test_every_public_name_is_described_and_on_the_page_of_the_api():
    shown = re.findall(r"^::: (\S+)", PAGES["api.md"], flags=re.M)
    for name in firstsight.__all__:
        thing = getattr(firstsight, name)
        if name != "Sample":  # a type alias: its words stand beneath it in core.py
            assert inspect.getdoc(thing), f"{name} has no docstring"
        assert f"firstsight.{name}" in shown, f"docs/api.md lacks {name}"
    for path in shown:
        target = path.removeprefix("firstsight.").split(".")
        module = firstsight if len(target) == 1 else importlib.import_module(path.rpartition(".")[0])
        assert hasattr(module, target[-1]), path


@pytest.mark.parametrize("name", WRITTEN)
def test_links_lead_somewhere(name):
    here = ROOT if name == "README.md" else (DOCS / name).parent
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_code(WRITTEN[name])):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (here / path).resolve() if path else (ROOT / name if name == "README.md" else DOCS / name)
        assert file.is_file(), f"{name} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{name} links to {target}"


def test_the_navigation_holds_every_page():
    named = re.findall(r":\s+(\S+\.md)$", NAV, flags=re.M)
    assert len(named) == len(set(named))
    assert set(named) == set(OURS)


def test_every_decision_is_listed():
    listed = re.findall(r"\]\((decisions/[^)]+)\)", PAGES["decisions.md"])
    assert listed == sorted(name for name in PAGES if name.startswith("decisions/"))


def test_the_page_of_figures_is_what_the_script_writes():
    script = runpy.run_path(str(ROOT / "runs/docs_figures.py"))
    written = script["page"]((ROOT / "README.md").read_text(), (ROOT / "benchmarks/LOG.md").read_text())
    assert PAGES["how-good.md"] == written, "run python runs/docs_figures.py"
    for heading in ("Clusters of a table", "Anomalies of a table", "What was not reached"):
        part = written.partition(f"# {heading}\n")[2].partition("\n#")[0]
        assert re.search(r"\.\d\d", part), f"{heading} has no figures"


@pytest.mark.parametrize("name", sorted(set(OURS) - {"how-good.md"}))
def test_names_and_files_in_the_text_exist(name):
    text = outside_code(PAGES[name])
    for path in re.findall(r"`(firstsight(?:\.\w+)+)", text):
        pkgutil.resolve_name(path)
    for path in re.findall(r"`((?:src|tests|docs|runs|benchmarks|skeletons|examples)/[\w/.-]+)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", OURS)
def test_pages_name_nothing_outside(name):
    for word in FOREIGN:
        assert word not in PAGES[name], f"{name} has {word}"


def test_the_site_loads_nothing_from_outside():
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert "://" not in settings + (DOCS / "style.css").read_text()
    pins = [line for line in (DOCS / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert pins
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pins)
