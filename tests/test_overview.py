"""One command, one page: what is said of a table, and what is written."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import firstsight
from firstsight import cli
from firstsight.overview.files import save_pieces, written_whole
from firstsight.overview.profiles import Table, findings_of
from firstsight.overview.result import ADDED
from firstsight.overview.source import source_of, typed
from firstsight.overview.words import group_words, how_clear

N = 240


def customers(seed=0):
    """Three kinds of customers in columns of every kind, four of them odd, with what tables usually have besides."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], N // 3)
    age = np.array([25.0, 45.0, 70.0])[kind] + rng.normal(0, 3, N)
    spent = np.array([20.0, 200.0, 60.0])[kind] * rng.lognormal(0, 0.1, N)
    visits = np.array([30.0, 5.0, 12.0])[kind] + rng.normal(0, 1.5, N)
    spent[[3, 100]], visits[[50, 200]] = 5000.0, 400.0
    table = pd.DataFrame({
        "customer_id": rng.permutation(N) + 10_000, "age": age.round(1), "spent": [f"${value:,.2f}" for value in spent],
        "visits": visits.round(2), "visits a year": (12 * visits.round(2)),
        "city": np.array(["Oslo", "Bern", "Rome"])[kind],
        "since": pd.to_datetime("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, N), unit="D"),
        "remark": [f"this is remark number {place} <b>here</b>" for place in range(N)], "country": "X",
    })  # fmt: skip
    table.loc[rng.choice(N, 12, replace=False), "age"] = np.nan
    return table


@pytest.fixture(scope="module")
def table():
    return customers()


@pytest.fixture(scope="module")
def looked(table):
    return firstsight.look(table, name="customers")


@pytest.fixture(scope="module")
def closed(table):
    return firstsight.look(table, name="customers", with_rows=False)


def test_the_answer_is_right(looked, table):
    contents = looked.contents
    assert contents["groups"]["n_groups"] == 3
    assert contents["groups"]["how_clear"] in ("clear", "likely")
    assert contents["headline"][0] == f"3 groups, {contents['groups']['how_clear']}"
    assert {3, 100, 50, 200} <= {one["row"] for one in contents["anomalies"]["rows"]}
    kinds = {column["name"]: column["kind"] for column in contents["columns"]}
    assert kinds == {
        "customer_id": "identifier", "age": "number", "spent": "number", "visits": "number", "visits a year": "copy",
        "city": "category", "since": "date", "remark": "text", "country": "constant",
    }  # fmt: skip
    assert looked.columns.columns.tolist() == ["age", "spent", "visits", "city", "since"]
    assert "1 column is a copy" in [note["found"] for note in looked.quality]
    truth = np.repeat([0, 1, 2], N // 3)
    agree = pd.crosstab(truth, looked.labels)
    assert agree.max(axis=1).sum() >= 0.97 * N


def test_groups_are_told_by_what_sets_them_apart(looked):
    for group in looked.contents["groups"]["groups"]:
        if group["label"] < 0:
            continue
        assert group["findings"][0]["effect"] > 0.9
        effects = [finding["effect"] for finding in group["findings"]]
        assert effects == sorted(effects, reverse=True)
        assert "since" not in [finding["column"] for finding in group["findings"] if finding["effect"] > 0.5]
        assert any(name in group["summary"] for name in ("age", "spent", "visits", "city"))
        for finding in group["findings"]:
            for side in ("here", "elsewhere"):
                assert sum(finding["distribution"][side]) == pytest.approx(1)
        assert len(group["typical"]) == 3


def test_reasons_name_the_column_and_its_value(looked):
    reasons = {one["row"]: one["reasons"] for one in looked.contents["anomalies"]["rows"]}
    assert any(reason.startswith("spent = 5000 is far beyond") for reason in reasons[3])
    assert any(reason.startswith("visits = 400 is above") for reason in reasons[50])
    for one in reasons.values():
        assert not any("since: days" in reason or "city=" in reason for reason in one)


def test_contents_are_plain(looked):
    said = json.loads(json.dumps(looked.to_dict(), allow_nan=False))
    assert said["table"] == {"name": "customers", "n_rows": N, "n_columns": 9, "n_used": 5, "n_looked_at": N}
    n_points = len(said["map"]["rows"])
    for name in ("x", "y", "group", "membership", "anomaly", "faithfulness"):
        assert len(said["map"][name]) == n_points
    assert all(len(shade["values"]) == n_points for shade in said["map"]["shades"])
    for row in said["map"]["rows"] + [one["row"] for one in said["anomalies"]["rows"]]:
        assert len(said["cells"][str(row)]) == len(said["names"])


def test_it_is_shown_and_said(looked):
    assert 6 <= len(str(looked).splitlines()) <= 12
    assert "3 groups" in str(looked)
    assert "<iframe" in looked._repr_html_()
    assert "3 groups" in looked.to_markdown()
    assert "<b>here" not in looked.to_html()
    assert looked.clusters.n_clusters_ == 3
    assert looked.map.transform(looked.columns.iloc[:2]).shape == (2, 2)
    assert looked.anomalies.anomaly_probability(looked.columns).shape == (N,)


def test_same_seed_same_page(looked, table):
    again = firstsight.look(table, name="customers")
    for name in looked.contents:
        if name != "made":
            assert again.contents[name] == looked.contents[name], name


def texts(said):
    """All texts of nested lists and dicts, and no numbers."""
    if isinstance(said, str):
        return [said]
    inside = said.values() if isinstance(said, dict) else said if isinstance(said, list | tuple) else []
    return [text for part in inside for text in texts(part)]


def test_closed_pages_hold_no_cell(closed, table):
    contents = closed.contents
    assert contents["cells"] == {}
    assert contents["names"] == []
    said = " ".join(texts({name: value for name, value in contents.items() if name != "made"}))
    said = said.replace("customer_id", "").replace("visits a year", "")
    for name in ("customer_id", "spent", "city", "remark", "age", "visits"):
        for value in table[name].dropna().astype(str).unique():
            if len(value) > 3:
                assert value not in said, (name, value)
    assert "Oslo" not in closed.to_html()
    assert contents["map"]["shades"] == []
    assert contents["groups"]["n_groups"] == 3


def test_rows_are_written_with_what_was_found(looked, table):
    found = looked.table
    pd.testing.assert_frame_equal(found[table.columns.tolist()], table)
    assert found.columns.tolist()[-5:] == list(ADDED)
    assert found["cluster"].tolist() == looked.labels.tolist()
    assert found["anomaly_probability"].between(0, 1).all()
    places = pd.Series(looked.contents["map"]["x"], index=looked.contents["map"]["rows"])
    np.testing.assert_allclose(found["map_x"].iloc[places.index], places, atol=1e-6)


def test_text_files_keep_their_cells(tmp_path, table):
    path = tmp_path / "a;b.csv"
    text = table.rename(columns={"age": "cluster"}).to_csv(index=False, sep=";", decimal=",")
    path.write_text(text, encoding="utf-8")
    written = firstsight.look(path).save_table(tmp_path / "out.csv")
    before = pd.read_csv(path, sep=";", dtype=str, keep_default_na=False)
    after = pd.read_csv(written, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(after[before.columns.tolist()], before)
    assert after.columns.tolist()[-5:] == ["firstsight_cluster", *ADDED[1:]]


def test_large_files_are_read_in_pieces(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    from firstsight.overview import answers, source

    monkeypatch.setattr(answers, "MANY", 300)
    monkeypatch.setattr(source, "MANY", 300)
    monkeypatch.setattr(source, "PIECE", 128)
    table = pd.concat([customers(seed).iloc[:, 1:] for seed in range(3)], ignore_index=True)
    table.to_parquet(tmp_path / "a.parquet")
    assert isinstance(source_of(tmp_path / "a.parquet"), source.ParquetSource)
    found = firstsight.look(tmp_path / "a.parquet")
    assert found.contents["table"]["n_looked_at"] == 300
    assert found.contents["groups"]["n_groups"] == 3
    assert sum(group["n_rows"] for group in found.contents["groups"]["groups"]) == len(table)
    assert len(found.labels) == len(table)
    assert any("drawn at random" in caution for caution in found.contents["cautions"])
    written = pd.read_parquet(found.save_table(tmp_path / "out.parquet"))
    pd.testing.assert_frame_equal(written[table.columns.tolist()], table)
    in_memory = firstsight.look(table)
    np.testing.assert_array_equal(in_memory.labels, found.labels)
    np.testing.assert_allclose(in_memory.anomaly_probability, found.anomaly_probability)


@pytest.mark.parametrize("kind", [".csv", ".parquet", ".xlsx", ".jsonl", ".npz", ".csv.gz"])
def test_the_standard_input_may_be_any_file(tmp_path, monkeypatch, kind):
    table = pd.DataFrame({"a": np.arange(12) % 5, "b": np.arange(12) % 3})
    path = tmp_path / f"a{kind}"
    if kind == ".npz":
        np.savez(path, X=table.to_numpy())
    else:
        writers = {".csv": "to_csv", ".csv.gz": "to_csv", ".parquet": "to_parquet", ".xlsx": "to_excel"}
        settings = {"orient": "records", "lines": True} if kind == ".jsonl" else {"index": False}
        getattr(table, writers.get(kind, "to_json"))(path, **settings)
    raw = path.read_bytes()
    assert typed(raw) == {".jsonl": ".json"}.get(kind, kind)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    source = source_of("-")
    assert (source.name, source.n_rows) == ("standard input", 12)
    assert source.table.to_numpy().tolist() == table.to_numpy().tolist()


BAD = {
    "missing.csv": (None, "should be a file"),
    "empty.csv": (b"", "empty file"),
    "binary.csv": (b"\x89PNG\r\n\x1a\n\0\0", "should be text"),
    "cut.csv": (b"a,b\n1,2\n3\n", "line 3"),
    "cut.parquet": (b"PAR1", "should be a Parquet file"),
    "cut.xlsx": (b"PK\x03\x04", "should be an Excel file"),
    "one-column.csv": (b"a\n1\n2\n3\n", "at least two columns"),
    "one-row.csv": (b"a,b\n1,2\n", "at least two rows"),
    "texts.csv": ("a,b\n" + "".join(f"row {i} of this text,and {i} more words\n" for i in range(30)), "text columns"),
    "constant.csv": (b"a,b\n" + b"1,x\n" * 20, "constant columns"),
    "word.docx": (b"PK", "should end in one of"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_with_a_sentence_and_leave_nothing(tmp_path, monkeypatch, capsys, name):
    raw, message = BAD[name]
    if raw is not None:
        (tmp_path / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(sys, "argv", ["firstsight", "look", name])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in said
    assert len(said.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["firstsight", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


def test_the_command_writes_a_page_a_table_and_json(tmp_path, monkeypatch, capsys, table):
    monkeypatch.chdir(tmp_path)
    table.to_csv("a.csv", index=False)
    assert run(monkeypatch, "look", "a.csv", "--out-table", "rows.csv") == 0
    said = capsys.readouterr().out
    assert "3 groups" in said
    assert "page: a.csv.firstsight.html; table: rows.csv" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.firstsight.html", "rows.csv"]
    assert run(monkeypatch, "look", "a.csv", "--json", "--no-rows") == 0
    contents = json.loads(capsys.readouterr().out)
    assert contents["groups"]["n_groups"] == 3
    assert contents["cells"] == {}
    assert run(monkeypatch, "look", "a.csv", "-o", "page.md") == 0
    assert Path("page.md").read_text(encoding="utf-8").startswith("#")
    for wrong, message in (
        (["-o", "page.pdf"], "should end in one of .html"),
        (["-o", "nowhere/page.html"], "make the folder first"),
        (["--out-table", "rows.xls"], "should end in one of .csv"),
    ):
        capsys.readouterr()
        assert run(monkeypatch, "look", "a.csv", *wrong) == 2
        assert message in capsys.readouterr().err


def test_the_file_that_is_read_is_never_written_over(tmp_path, monkeypatch, capsys, looked):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x,y\n1,2\n3,5\n4,4\n", encoding="utf-8")
    Path("link.csv").symlink_to("a.csv")
    before = Path("a.csv").read_bytes()
    for name in ("a.csv", "link.csv"):
        assert run(monkeypatch, "look", "a.csv", "--out-table", name) == 2
        assert "should be another file" in capsys.readouterr().err
    with pytest.raises(ValueError, match="save_table writes tables"):
        looked.save("a.csv")
    assert Path("a.csv").read_bytes() == before
    assert Path("link.csv").is_symlink()


def test_a_pipe_is_looked_at(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["x", "y"])
    command = [sys.executable, "-m", "firstsight", "look", "-", "--json"]
    done = subprocess.run(command, input=table.to_csv(index=False), capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["table"]["n_rows"] == 30
    assert list(tmp_path.iterdir()) == []


def test_infinite_values_are_missing_and_said():
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[4, 1], X[5, 2] = np.inf, -1e308
    found = firstsight.look(pd.DataFrame(X, columns=list("abc")))
    assert any("'b': 1 value is no number" in note["found"] for note in found.quality)
    assert "inf" in found.contents["cells"]["4"]
    assert len(found.table) == 60


def test_a_table_that_was_written_can_be_looked_at_again(tmp_path):
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["x", "y"])
    for _ in range(3):
        table = firstsight.look(table).table
    assert table.columns.is_unique
    assert "firstsight_firstsight_cluster" in table.columns


def test_cells_that_arrow_cannot_hold_together_are_written_as_texts(tmp_path):
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"x": np.arange(20.0) % 7, "y": np.arange(20.0) % 3, "mixed": [1, "a"] * 10})
    written = pd.read_parquet(firstsight.look(table).save_table(tmp_path / "a.parquet"))
    assert written["mixed"].tolist() == ["1", "a"] * 10
    assert written["x"].tolist() == table["x"].tolist()


def test_several_files_give_a_page_each_and_a_bad_one_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["x", "y"]).to_csv(name, index=False)
    Path("c.csv").write_text("", encoding="utf-8")
    assert run(monkeypatch, "look", "*.csv", "-o", "pages") == 2
    said = capsys.readouterr()
    assert "c.csv should be a table; found an empty file" in said.err
    assert "1 of 3 files" in said.err
    Path("more").mkdir()
    Path("more/a.csv").write_bytes(Path("a.csv").read_bytes())
    assert run(monkeypatch, "look", "a.csv", "more/a.csv", "-o", "twice") == 0
    assert sorted(path.name for path in Path("twice").iterdir()) == ["a.csv-2.firstsight.html", "a.csv.firstsight.html"]
    assert sorted(path.name for path in Path("pages").iterdir()) == ["a.csv.firstsight.html", "b.csv.firstsight.html"]


def test_nothing_opens_a_connection(table, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    page = firstsight.look(table.iloc[:60]).to_html()
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_files_are_whole_or_not_there(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("before", encoding="utf-8")

    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written_whole(path, interrupted)
    assert path.read_text(encoding="utf-8") == "before"

    def pieces():
        yield pd.DataFrame({"a": [1]})
        raise RuntimeError("gone")

    for name in ("rows.csv", "rows.csv.gz", "rows.parquet"):
        with pytest.raises(RuntimeError, match="gone"):
            save_pieces(tmp_path / name, pieces())
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.slow
def test_an_interrupt_leaves_nothing(tmp_path):
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(60_000, 12))).rename(columns=str).to_csv(tmp_path / "a.csv", index=False)
    # A shell that starts jobs in the background lets them ignore the signal.
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from firstsight.cli import main; sys.argv = ['firstsight', 'look', 'a.csv']; main()"
    )
    command = [sys.executable, "-c", program]
    for wait in (2.0, 4.0, 5.0, 5.4, 5.8):
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(wait)
            os.kill(process.pid, signal.SIGINT)
            said = process.communicate(timeout=120)[1]
        assert process.returncode == 130
        assert "Traceback" not in said
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (7, 2), (12, 40)])
def test_tiny_and_wide_tables_have_a_page(shape):
    found = firstsight.look(np.random.default_rng(0).normal(size=shape))
    assert len(found.to_html()) > 1000
    assert len(found.table) == shape[0]


def test_hostile_texts_are_texts():
    evil = '</script><script>window.hacked=1</script><img src=x onerror="hacked()">{{7*7}}'
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0], [9.0]], 60, axis=0) + rng.normal(size=(120, 1))
    table = pd.DataFrame({evil: X[:, 0], "b": rng.normal(size=120), "c": np.repeat([evil, "plain"], 60)})
    page = firstsight.look(table, name=evil).to_html()
    assert "<script>window" not in page
    assert "<img" not in page
    assert "{{7*7}}" in page


def test_effects_are_shares_of_rows_told_apart():
    n = 1000
    here = np.arange(n) < 400
    columns = pd.DataFrame({
        "apart": np.where(here, 1.0, 5.0) + np.linspace(0, 1, n), "same": np.tile(np.linspace(0, 1, 10), n // 10),
        "between": np.where(here, 0.0, np.where(np.arange(n) % 2, -9.0, 9.0)) + np.linspace(0, 1, n),
        "word": np.where(here, "a", np.where(np.arange(n) % 2, "a", "b")),
        "gone": np.where(here, np.nan, 1.0 + np.arange(n) % 3),
    })  # fmt: skip
    columns["word"] = columns["word"].astype(object)
    found = {one["column"]: one for one in findings_of(Table(columns, frozenset(), told=True), here)}
    assert found["apart"]["effect"] == pytest.approx(1, abs=0.02)
    assert found["apart"]["higher"] is False
    assert found["between"]["effect"] > 0.9
    assert found["between"]["higher"] is None
    assert found["word"]["effect"] == pytest.approx(0.5)
    assert found["word"]["words"] == "mostly 'a' (100%, elsewhere 50%)"
    assert found["gone"]["words"] == "100% have no value, elsewhere 0%"
    assert "same" not in found or found["same"]["effect"] < 0.05


@pytest.mark.parametrize(
    ("structure", "said"), [(0.02, "The rows form one cloud"), (0.47, "No groups stand clearly apart")]
)
def test_one_cloud_is_said_as_surely_as_it_is(structure, said):
    clear = how_clear(1, structure, 0.5)
    assert clear == "none"
    words = group_words(1, clear, structure, 0.5, 0)
    assert words.startswith(said)
    assert f"{1 - structure:.0%}" in words
