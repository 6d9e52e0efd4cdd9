"""Tables of mixed columns become finite matrices of the same features, or the error names the file and the cure."""

import datetime
import decimal
import gzip
import json
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from firstsight.columns.encode import Column, Columns, encode, learn_columns
from firstsight.columns.read import list_tables, read_cells, read_table


def frame(**columns):
    return pd.DataFrame(columns)


def learn(**columns):
    return learn_columns({"a.csv": frame(**columns)})


def feature(columns, table, name):
    return encode(columns, table, "new.csv")[:, columns.feature_names.index(name)].tolist()


def attempt(call, *arguments):
    """What a call gives, or None and what its ValueError says."""
    try:
        return call(*arguments), ""
    except ValueError as error:
        return None, str(error)


# --- reading ---------------------------------------------------------------------------------------------------------

PLAIN = "name,size\nCafé,1.5\nBar,2\n"
EXPECTED = {"name": ["Café", "Bar"], "size": [1.5, 2.0]}
WRITTEN = {
    "utf-8": PLAIN.encode(),
    "utf-8 with mark": PLAIN.encode("utf-8-sig"),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16 big": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "windows-1252": PLAIN.encode("cp1252"),
    "windows lines": PLAIN.replace("\n", "\r\n").encode(),
    "old mac lines": PLAIN.replace("\n", "\r").encode(),
    "no last line end": PLAIN.rstrip().encode(),
    "blank lines": PLAIN.replace("\n", "\n\n").encode(),
    "blank lines first": ("\n\n" + PLAIN).encode(),
    "blanks around": PLAIN.replace(",", " , ").encode(),
    "tab": PLAIN.replace(",", "\t").encode(),
    "bar": PLAIN.replace(",", "|").encode(),
    "semicolon": PLAIN.replace(",", ";").encode(),
    "decimal comma": b"name;size\nCaf\xc3\xa9;1,5\nBar;2\n",
    "decimal comma, tab": b"name\tsize\nCaf\xc3\xa9\t1,5\nBar\t2\n",
    "quotes": b'"name","size"\n"Caf\xc3\xa9","1.5"\n"Bar","2"\n',
    "row numbers": b",name,size\n0,Caf\xc3\xa9,1.5\n1,Bar,2\n",
    "delimiter at line ends": b"name,size,\nCaf\xc3\xa9,1.5,\nBar,2,\n",
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt.gz"])
def test_spellings_of_one_table_read_the_same(tmp_path, written, suffix):
    path = tmp_path / f"table{suffix}"
    path.write_bytes(gzip.compress(WRITTEN[written], mtime=0) if suffix.endswith("gz") else WRITTEN[written])
    table = read_table(path)
    assert table.columns.tolist() == list(EXPECTED)
    assert table["size"].tolist() == EXPECTED["size"]
    assert [text.strip() for text in table["name"]] == EXPECTED["name"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2\n3,4\n", {"x0": [1, 3], "x1": [2, 4]}),
        ("1,5;2,5\n3,5;4,5\n", {"x0": [1.5, 3.5], "x1": [2.5, 4.5]}),
        ("1;NA\n3;4\n", {"x0": [1, 3], "x1": [None, 4]}),
        ("price\n1\n2\n", {"price": [1, 2]}),
        ("who\nJane Doe\nJohn\n", {"who": ["Jane Doe", "John"]}),
        ("who\nDoe; Jane\nBond James\nX Y\n", {"who": ["Doe; Jane", "Bond James", "X Y"]}),
        ('who,n\n"Doe, Jane",1\n"A ""B"", C",2\n', {"who": ["Doe, Jane", 'A "B", C'], "n": [1, 2]}),
        ('who,n\n"two\nlines",1\nb,2\n', {"who": ["two\nlines", "b"], "n": [1, 2]}),
        ("a;b\n1,5;x,y\n2,25;x,z\n", {"a": [1.5, 2.25], "b": ["x,y", "x,z"]}),
        ("a;b\n1.234,5;1\n-7,25;2\n", {"a": [1234.5, -7.25], "b": [1, 2]}),
        ("a;b\n1.234,5;01.02.2024\n-1.500;02.02.2024\n", {"a": [1234.5, -1500], "b": ["01.02.2024", "02.02.2024"]}),
        ("<DATE>,<OPEN>\nx,1\n", {"<DATE>": ["x"], "<OPEN>": [1]}),
        ("a;b\n1.5;x,y\n2.5;z\n", {"a": [1.5, 2.5], "b": ["x,y", "z"]}),
        ("a,b\n?,x\n-,y\n3,z\n", {"a": [None, None, 3], "b": ["x", "y", "z"]}),
        ("\u65e5\u672c,\U0001f600\n1,2\n", {"\u65e5\u672c": [1], "\U0001f600": [2]}),
        ("a,a.1\n1,2\n", {"a": [1], "a.1": [2]}),
        ("a,,c\n1,2,3\n", {"a": [1], "unnamed 1": [2], "c": [3]}),
    ],
)
def test_texts_are_read_as_meant(tmp_path, text, expected):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    table = read_table(path)
    assert table.columns.tolist() == list(expected)
    for name, values in expected.items():
        found = table[name].astype(object).where(table[name].notna(), None).tolist()
        assert found == values


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.csv", b"", "found an empty file; leave it out"),
        ("a.csv", b" \n\n", "found an empty file"),
        ("a.csv", b"\xef\xbb\xbf", "found an empty file"),
        ("a.csv", b"a,b\n", "at least one row"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0", "should be text; found b'.x89PNG"),
        ("a.csv", b"a,b\n1,2\n\x81\x8d,\x90", "should be text"),
        ("a.csv", b"\xff\xfea", "should be text"),
        ("a.csv", b"<!DOCTYPE html><html>", "found HTML or XML"),
        ("a.csv", b"\n<table><tr><td>", "found HTML or XML"),
        ("a.csv", b'{"a": [1, 2]}', "found JSON; name the file .json"),
        ("a.csv", b'[{"a": 1}]', "found JSON"),
        ("a.csv", b"[1, 2]", "found JSON"),
        ("a.csv", b'a,b\n"' + b"1,2\n" * 40_000, "should have quotes in pairs"),
        ("a.csv", b"a,b\n1,2\n3,4\n5\n", "line 4"),
        ("a.csv", b"a,b\n1,2\n\n3,4,5\n", "found 3 in line 4"),
        ("a.csv", b'a,b\n"1",2\n"3",4,5\n', "found 3 in line 3"),
        ("a.csv", b"My report\na,b\n1,2\n3,4\n5,6\n7,8\n", "in its first, 1 parted by ','; found 2 in line 2"),
        ("a.csv", b"a,b,a\n1,2,3\n", r"different names; found \['a'\] twice"),
        ("a.csv", b"a, a\n1,2\n", r"different names; found \['a'\] twice"),
        ("a.csv.gz", b"a,b\n1,2\n", "should be a gzip file"),
        ("a.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "should be a gzip file"),
        ("a.doc", b"PK", r"should end in one of .csv, .tsv"),
        ("a.xlsx", b"PK", "should be an Excel file"),
        ("a.xlsx", b"", "should be an Excel file"),
        ("a.json", b"", "found an empty file"),
        ("a.json", b"[1, 2]", "one object a row"),
        ("a.json", b'{"a": 1', "line 1 is none"),
        ("a.jsonl", b'{"a": 1}\n{"a": 2\n', "line 2 is none"),
        ("a.jsonl", b"\xff\xfe{", "should be JSON in UTF-8"),
        ("a.npz", b"PK", "should be an npz file"),
        ("a.parquet", b"PAR1", "should be a Parquet file"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, name, raw, message):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(path)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros(3)}, r"found \{'X': 'float64 \(3,\)'\}"),
        ({"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, "should hold an array X"),
        ({"X": np.zeros((2, 2)), "y": np.zeros(3)}, r"y of .* should have shape \(2,\)"),
        ({"X": np.array([[None]])}, "should be an npz file of plain arrays"),
        ({"X": np.zeros((2, 2), complex)}, "should hold an array X of numbers"),
        ({"X": np.zeros((0, 2))}, "at least one row"),
    ],
)
def test_arrays_that_are_no_tables_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.npz")


def test_arrays_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.arange(4.0).reshape(2, 2), y=np.array([0, 1]))
    np.savez(tmp_path / "b.npz", rows=np.arange(4).reshape(2, 2))
    assert read_table(tmp_path / "a.npz").to_dict("list") == {"x0": [0, 2], "x1": [1, 3], "y": [0, 1]}
    assert read_table(tmp_path / "b.npz").columns.tolist() == ["x0", "x1"]


def test_parquet_is_read(tmp_path):
    pytest.importorskip("pyarrow")
    table = frame(when=pd.to_datetime(["2024-01-01", None]), n=[1, 2], word=["a", None])
    table.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), table)
    table.set_index("n").to_parquet(tmp_path / "b.parquet")
    assert set(read_table(tmp_path / "b.parquet").columns) == {"when", "n", "word"}


def test_excel_is_read(tmp_path):
    pytest.importorskip("openpyxl")
    table = frame(name=["a", "b", "c"], size=[1.5, np.nan, 3], when=pd.to_datetime(["2024-01-01"] * 3), n=[1, 2, 3])
    with pd.ExcelWriter(tmp_path / "a.xlsx") as writer:
        pd.DataFrame().to_excel(writer, sheet_name="empty")
        table.to_excel(writer, sheet_name="titled", index=False, startrow=3, startcol=1)
        writer.sheets["titled"]["B1"] = "Report of the year"
    found = read_table(tmp_path / "a.xlsx")
    assert found.columns.tolist() == ["name", "size", "when", "n"]
    assert found["n"].tolist() == [1, 2, 3]
    assert found["size"].tolist()[::2] == [1.5, 3]
    assert pd.to_datetime(found["when"]).tolist() == table["when"].tolist()
    pd.DataFrame(np.arange(6).reshape(3, 2)).to_excel(tmp_path / "b.xlsx", index=False, header=False)
    assert read_table(tmp_path / "b.xlsx").to_dict("list") == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
    pd.DataFrame().to_excel(tmp_path / "c.xlsx")
    with pytest.raises(ValueError, match="no two rows and columns of cells"):
        read_table(tmp_path / "c.xlsx")


def test_json_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": {"c": "x"}}\n\n{"a": null, "b": {"c": "y"}}\n', encoding="utf-8")
    (tmp_path / "b.json").write_text('[{"a": 1, "b.c": "x"}, {"b.c": "y"}]', encoding="utf-8")
    (tmp_path / "c.json").write_text('{\n"a": 1\n}', encoding="utf-8")
    for name in ("a.jsonl", "b.json"):
        found = read_table(tmp_path / name)
        assert found["b.c"].tolist() == ["x", "y"]
        assert found["a"].tolist()[0] == 1
        assert found["a"].isna().tolist() == [False, True]
    assert read_table(tmp_path / "c.json").to_dict("list") == {"a": [1]}


def test_cells_are_read_as_they_are_written(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(',name;x,size\n0,"a ""b""",1.50\n1,NA, 2\n', encoding="utf-8")
    cells = read_cells(path)
    assert cells.columns.tolist() == ["", "name;x", "size"]
    assert cells.to_numpy().tolist() == [["0", 'a "b"', "1.50"], ["1", "NA", " 2"]]
    assert len(read_table(path)) == len(cells)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")

    def absent(path):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", absent)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'firstsight\[parquet\]'"):
        read_table(tmp_path / "a.parquet")


def test_folders_list_their_tables(tmp_path):
    for name in ("b.csv", "a.TSV", "c.csv.gz", ".hidden.csv", "README.md", "d.npz"):
        (tmp_path / name).touch()
    (tmp_path / "folder.csv").mkdir()
    assert [path.name for path in list_tables(tmp_path)] == ["a.TSV", "b.csv", "c.csv.gz", "d.npz"]


def test_folders_without_tables_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"files ending in \.csv, .*; found no file"):
        list_tables(tmp_path)
    (tmp_path / "README.md").touch()
    with pytest.raises(ValueError, match=r"found 1 other files, such as README.md"):
        list_tables(tmp_path)
    with pytest.raises(ValueError, match="found a file; --group is for one file"):
        list_tables(tmp_path / "README.md")
    with pytest.raises(ValueError, match="found none of this name"):
        list_tables(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="should be a file; found none"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(FileNotFoundError, match="should be a file; found a folder"):
        read_table(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_refused(tmp_path, raw):
    path = tmp_path / "bytes.csv"
    path.write_bytes(raw)
    table, message = attempt(read_table, path)
    if table is None:
        assert "bytes.csv" in message
    else:
        assert min(table.shape) > 0
        assert table.columns.is_unique


fields = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8).map(lambda text: "k" + text.strip())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(",;\t|"), st.lists(st.tuples(fields, st.integers(-99, 99), fields), min_size=2, max_size=6))
def test_what_pandas_writes_is_read_back(tmp_path, delimiter, rows):
    """Fields may hold any of the delimiters: pandas quotes its own."""
    others = {",", ";", "\t", "|"} - {delimiter}
    assume(not any(sign in field for row in rows for field in (row[0], row[2]) for sign in others))
    path = tmp_path / "written.csv"
    table = pd.DataFrame(rows, columns=["first", "n", "last"])
    table.to_csv(path, sep=delimiter, index=False)
    assert read_table(path).to_dict("list") == table.to_dict("list")


# --- kinds -----------------------------------------------------------------------------------------------------------

MANY = [f"word {chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60)]
KINDS = {
    "number": [1, 2.5, -3],
    "number as text": ["1", " 2.5", "-3e2"],
    "number, few are none": ["x", *map(str, range(20))],
    "number, booleans": [True, False, True],
    "number, booleans as text": ["TRUE", "false", None],
    "number, durations": pd.to_timedelta(["1 day", "2 days"]),
    "number, extension type": pd.array([1, None, 3], dtype="Int64"),
    "number, categorical": pd.Categorical([1, 2, 2]),
    "category": ["a", "b", "a"],
    "category, too few numbers": ["1", "2", "x"],
    "category, categorical": pd.Categorical(["u", "v"]),
    "category, lists": [[1], [2]],
    "category, one value or missing": [1.0, None, 1.0],
    "category, thirty": MANY[:30],
    "text": MANY[:31],
    "date": pd.to_datetime(["2024-01-01", "2024-02-01"]),
    "date with zone": pd.to_datetime(["2024-01-01", "2024-02-01"]).tz_localize("Europe/Paris"),
    "date of Python": [datetime.date(2024, 1, 1), datetime.date(2025, 1, 1)],
    "date as text": ["2024-01-01", "2024-02-01 12:00"],
    "date, day first": ["31/01/2024", "01/02/2024"],
    "date, month first": ["01/31/2024", "02/01/2024"],
    "date with dots": ["01.02.2024", "02.02.2024"],
    "date in words": ["5 May 2024", "7 June 2024"],
    "date of two digits": ["31/12/24", "01/12/24"],
    "date, zones in text": ["2024-01-05T12:30:00Z", "2024-01-05T12:30:00+02:00"],
    "constant": ["a", "a", "a"],
    "constant, a number": [7, 7],
    "constant, a date": ["2024-01-01", "2024-01-01"],
    "constant, all missing": [None, "NA", " "],
    "constant, nearly all missing": [1.0, 2.0, *[None] * 20],
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds(case):
    table = frame(other=range(len(KINDS[case])), x=KINDS[case])
    columns = learn_columns({"a.csv": table})
    column = columns.columns[1]
    assert column.kind == case.split(",")[0].split(" ")[0]
    assert (column.kind != "constant") or any(note.endswith("left out") for note in columns.notes)
    matrix = encode(columns, table, "a.csv")
    assert matrix.shape == (len(table), len(columns.feature_names))
    assert np.isfinite(matrix).all()
    assert column.kind == "constant" or any(np.ptp(values) > 0 for values in matrix.T[1:])


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("31/01/2024", "2024-01-31"),
        ("1/31/2024", "2024-01-31"),
        ("01.02.2024", "2024-02-01"),
        ("2024/01/31 12:00", "2024-01-31 12:00"),
        ("05-Jan-2024", "2024-01-05"),
        ("January 5, 2024", "2024-01-05"),
        ("2024-01-05T12:30:00+02:00", "2024-01-05 10:30"),
        ("12/31/24", "2024-12-31"),
        ("9999-12-31", "9999-12-31"),
        ("0001-01-01", "0001-01-01"),
    ],
)
def test_dates_are_the_days_they_say(text, day):
    columns = learn(when=[text, "2020-02-29", "2020-02-29"] if "-" in text and text[4] == "-" else [text, text, None])
    if columns.columns[0].kind == "category":  # one date only: give it company of its own spelling
        columns = learn(when=[text, text.replace("2024", "2023").replace("/24", "/23")])
    (found,) = feature(columns, frame(when=[text]), "when: days")
    assert found == (np.datetime64(day, "s") - np.datetime64("1970-01-01", "s")).astype(int) / 86400


def test_date_parts_are_those_that_vary():
    columns = learn(when=["2024-02-05 07:00", "2024-02-06 19:00"])
    assert columns.feature_names == ("when: day", "when: weekday", "when: hour", "when: days")
    parts = encode(columns, frame(when=["2024-02-06 19:00"]), "b")[0]
    assert parts.tolist() == [6, 1, 19, 19759 + 19 / 24]


def test_dates_written_otherwise_are_missing_if_few_and_refused_if_most():
    tables = {
        "a": frame(d=[f"{i % 28 + 1}/{i // 28 + 1}/2024" for i in range(84)] + ["soon"]),
        "b": frame(d=["2024-01-31"]),
    }
    columns = learn_columns(tables)
    assert columns.notes[1] == "d: 1 value of a is no dates ('soon'), taken as missing"
    assert encode(columns, tables["b"], "b")[0, -2] == encode(columns, frame(d=["31/01/2024"]), "c")[0, -2]
    message = r"'d' of c should hold dates written as %d/%m/%Y, .* 1 of 1 .* '31\.1\.24'; .* --ignore d"
    with pytest.raises(ValueError, match=message):
        encode(columns, frame(d=["31.1.24"]), "c")
    with pytest.raises(ValueError, match=message):
        learn_columns(tables | {"c": frame(d=["31.1.24"])})


def test_ambiguous_dates_are_noted():
    assert (
        "when: %d/%m/%Y would fit as well; write dates as 2024-01-31 to make sure"
        in learn(when=["01/02/2024", "03/04/2024"]).notes
    )
    assert learn(when=["01/02/2024", "31/04/2024", "30/04/2024"]).columns[0].kind == "category"
    assert learn(when=["13/02/2024", "30/04/2024"]).notes == ("when: dates, read as %d/%m/%Y",)


def test_categories_and_their_missing_values():
    columns = learn_columns({"a": frame(c=["b", "a", "N/A"]), "b": frame(c=["a", "b", "a"])})
    assert columns.feature_names == ("c=a", "c=b", "c is missing")
    assert encode(columns, frame(c=["b", "new", None]), "new").tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_values_without_a_hash_are_texts():
    columns = learn(x=[{"a": 1}, [2], None, decimal.Decimal("sNaN"), True])
    assert columns.columns[0].levels == ("1", "[2]", "sNaN", "{'a': 1}")
    assert columns.columns[0].missing


def test_levels_have_one_spelling_whatever_type_pandas_gave():
    columns = learn_columns({"a": frame(c=["1", "2", "x"]), "b": frame(c=["007", "y", "2.0"])})
    assert columns.columns[0].levels == ("1", "2", "7", "x", "y")
    for ones in ([1], [1.0], ["1"], ["01"], [True], pd.array([1], dtype="Int8")):
        assert encode(columns, frame(c=ones), "new").tolist() == [[1, 0, 0, 0, 0]]


def test_missing_numbers_are_the_median_and_said_when_frequent():
    often = learn(x=[1, 2, 6, None], y=[1, 2, 3, 4])
    assert often.feature_names == ("x", "x is missing", "y")
    assert encode(often, frame(x=[None, 6], y=["?", 4]), "new").tolist() == [[2, 1, 2.5], [6, 0, 4]]
    seldom = learn(x=[None, *range(150)])
    assert seldom.feature_names == ("x",)


def test_numbers_far_outside_are_drawn_in():
    columns = learn(x=[0.0, 1.0])
    assert encode(columns, frame(x=[1e300, -1e99, np.inf, 5]), "new").tolist() == [[11], [-10], [0.5], [5]]
    huge = learn(x=[1e300, -np.inf, np.inf, 1, 2])
    assert (huge.columns[0].low, huge.columns[0].high) == (1, 1e100)
    assert huge.notes == ("x: 2 values of a.csv are infinite ('-inf'), taken as missing",)
    assert np.isfinite(encode(huge, frame(x=[1e300, -1e300]), "new").std())


def test_dates_far_outside_are_drawn_in():
    columns = learn(when=["2024-01-01", "2024-01-03"])
    new = frame(when=["9999-01-01", "0001-01-01", "2024-01-02"])
    assert feature(columns, new, "when: days") == [19723 + 22, 19723 - 20, 19724]


def test_texts_that_are_alike_are_near():
    columns = learn(t=MANY)
    assert columns.feature_names == tuple(f"t: hash {i}" for i in range(8))
    matrix = encode(columns, frame(t=["Main Street 15", "Main Street 16", "qqqq", None, ""]), "new")
    assert np.abs(matrix[0] - matrix[1]).sum() < np.abs(matrix[0] - matrix[2]).sum()
    assert not matrix[3:].any()


def test_without_skrub_texts_say_what_to_install(monkeypatch):
    columns = learn(t=MANY)
    monkeypatch.setitem(sys.modules, "skrub", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'firstsight\[text\]'"):
        encode(columns, frame(t=["Main Street 15"]), "new")


def test_hashes_of_texts_stay_what_they_are():
    # Stored runs depend on these numbers, whatever the version.
    golden = [0.014211, 0.004795, 0.041411, 0.015893, 0.045055, 0.095318, 0.026967, 0.054496]
    assert np.allclose(encode(learn(t=MANY), frame(t=["Main Street 15"]), "new"), golden, atol=1e-6)


@given(st.lists(st.text(max_size=9), min_size=40, max_size=60, unique=True))
def test_any_texts_are_hashed(texts):
    table = frame(other=range(len(texts)), t=texts)
    columns = learn_columns({"a": table})
    assume(columns.columns[1].kind == "text")
    matrix = encode(columns, table, "a")
    assert np.isfinite(matrix).all()
    assert np.array_equal(encode(columns, table[::-1], "a")[::-1], matrix)


def test_notes_name_file_count_and_example():
    tables = {f"s{i}.csv": frame(price=["n/a?", *map(str, range(i, 40))]) for i in range(6)}
    notes = learn_columns(tables).notes
    assert notes[0] == "price: 1 value of s0.csv is no numbers ('n/a?'), taken as missing"
    assert notes[3] == "price: so with 3 values of 3 more tables"
    assert len(notes) == 4


# --- tables that do not fit ------------------------------------------------------------------------------------------

NUMBERS = {f"s{i}.csv": frame(a=[i, 1, 2], b=["u", "v", "w"]) for i in range(3)}


@pytest.mark.parametrize(
    ("tables", "ignore", "message"),
    [
        ({}, [], "at least one table; found none"),
        ({"a.csv": [[1]]}, [], "a.csv should be a pandas DataFrame; found list"),
        ({"a.csv": frame(a=[])}, [], "a.csv should have at least one row; found none; leave it out"),
        ({"a.csv": pd.DataFrame([[1, 2]], columns=["a", "a"])}, [], "a.csv .* found 'a' more than once"),
        ({"a.csv": pd.DataFrame([[1, 2]], columns=[1, "1"])}, [], "found '1' more than once"),
        ({"a.csv": frame(a=[1, 1])}, [], r"at least one column that varies; found none \(a: '1' in every row"),
        ({"a.csv": frame(a=[1, 2])}, ["a"], "found none .all are ignored"),
        ({"a.csv": frame(a=[1, 2])}, ["z"], r"ignore=\['z'\] should name columns of the tables, which have 'a'"),
        (NUMBERS | {"s7.csv": frame(a=[1])}, [], r"s7.csv .* most tables \(3 of 4\); it lacks 'b'; correct"),
        (NUMBERS | {"s7.csv": frame(a=[1], b=[""], c=[1])}, [], "s7.csv .* it has besides 'c'"),
        (NUMBERS | {"s7.csv": frame(a=[1], c=[1])}, [], "s7.csv .* lacks 'b' and has besides 'c'"),
        (NUMBERS | {"s7.csv": frame(a=["lo", "hi", 1], b=1)}, [], "'a' of s7.csv .* 2 of 3 .* 'lo'; .* --ignore a"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, ignore, message):
    with pytest.raises((TypeError, ValueError), match=message):
        learn_columns(tables, ignore=ignore)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (frame(a=[1]), r"new.csv .* it lacks \['b'\]"),
        (frame(a=[1], b=["u"], c=[1]), r"new.csv .* found besides \['c'\]; remove"),
        (frame(a=[], b=[]), "new.csv should have at least one row"),
        (frame(a=["low", "high"], b=["u", "v"]), "column 'a' of new.csv should hold numbers"),
        (np.zeros((2, 2)), "new.csv should be a pandas DataFrame"),
    ],
)
def test_new_tables_that_do_not_fit_are_refused(table, message):
    with pytest.raises((TypeError, ValueError), match=message):
        encode(learn_columns(NUMBERS), table, "new.csv")


def test_ignored_and_constant_columns_may_lack_or_be_there():
    tables = {"a": frame(x=[1, 2], id=["p", "q"], k=[1, 1]), "b": frame(x=[3, 4], k=[1, 1])}
    columns = learn_columns(tables, ignore=["id"])
    assert columns.feature_names == ("x",)
    for new in (frame(x=[2]), frame(id=["r"], x=[2]), frame(k=["z"], x=[2])):
        assert encode(columns, new, "new").tolist() == [[2]]
    with pytest.raises(TypeError, match=r"pass \['id'\]"):
        learn_columns(tables, ignore="id")


# --- stored ----------------------------------------------------------------------------------------------------------

STORED = learn(x=[1, 2, None], c=["u", "v", None], when=["2024-01-01", "2024-05-02", None]).to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.pop("notes"), r"should have the keys \['columns', 'ignored', 'notes'\]"),
        (lambda stored: stored.update(columns={}), "columns of stored columns should be a list; found dict"),
        (lambda stored: stored.update(columns=[]), "at least one feature"),
        (lambda stored: stored.update(columns=[3]), "a stored column should be a dict"),
        (lambda stored: stored.update(notes=[3]), "should be a tuple of sentences"),
        (lambda stored: stored["columns"].append(stored["columns"][0]), "should all be different"),
        (lambda stored: stored["columns"][0].pop("low"), "a stored column should have the keys"),
        (lambda stored: stored["columns"][0].update(kind="colour"), "kind='colour' of column 'x' should be one of"),
        (lambda stored: stored["columns"][0].update(low=float("nan")), "low=nan of column 'x' should be a finite"),
        (lambda stored: stored["columns"][0].update(low="1"), "low='1' of column 'x' should be a finite"),
        (lambda stored: stored["columns"][0].update(low=9.0), "should lie between low=9.0 and high=2.0"),
        (lambda stored: stored["columns"][0].update(missing=1), "True or False as missing"),
        (lambda stored: stored["columns"][0].update(name=1), "should have a str as name"),
        (lambda stored: stored["columns"][1].update(levels=["u", 1]), "levels=.* should be a tuple of str"),
        (lambda stored: stored["columns"][1].update(levels=["u", "u"]), "should all be different"),
        (lambda stored: stored["columns"][1].update(levels=[]), "at least one level"),
        (lambda stored: stored["columns"][2].update(parts=["minute"]), "should be of year, month"),
        (lambda stored: stored["columns"][2].update(date_format=""), "should say how dates are written"),
    ],
)
def test_what_was_not_stored_so_is_refused(change, message):
    stored = json.loads(json.dumps(STORED))
    change(stored)
    with pytest.raises((TypeError, ValueError), match=message):
        Columns.from_json(stored)


def test_what_is_stored_must_be_a_dict():
    with pytest.raises(TypeError, match="stored columns should be a dict"):
        Columns.from_json([])
    with pytest.raises(TypeError, match="should be a tuple of Column"):
        Columns(columns=({"name": "x"},))


def test_feature_names_are_all_different():
    columns = Columns(
        columns=(
            Column(name="a", kind="category", levels=("b=c", "d")),
            Column(name="a=b", kind="category", levels=("c",)),
            Column(name="a=d", kind="number"),
            Column(name="a=d (2)", kind="number"),
        )
    )
    assert columns.feature_names == ("a=b=c", "a=d", "a=b=c (2)", "a=d (2)", "a=d (2) (2)")


# --- any table -------------------------------------------------------------------------------------------------------

cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["NA", "?", " - ", "1,5", "1e400", "0x1A", "2024-01-05", "31/12/2024", "-5", "2024", "inf", "\ud800"]
    ),
    st.dates(),
    st.datetimes(),
    st.decimals().filter(lambda value: not value.is_snan()),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.complex_numbers(),
)
alike = st.one_of(
    st.lists(st.floats(), min_size=1, max_size=8),
    st.lists(st.text(max_size=3), min_size=1, max_size=8),
    st.lists(st.datetimes().map(str), min_size=1, max_size=8),
    st.lists(st.booleans() | st.none(), min_size=1, max_size=8),
    st.lists(cells, min_size=1, max_size=8),
)


@st.composite
def groups(draw):
    """Tables of one kind: one to three, of the same columns of mixed values, with weird names."""
    names = draw(st.lists(st.text(max_size=4), min_size=1, max_size=4, unique=True))
    pools = [draw(alike) for _ in names]
    tables = {}
    for i in range(draw(st.integers(1, 3))):
        n_rows = draw(st.integers(1, 6))
        columns = {
            name: pd.Series([draw(st.sampled_from(pool)) for _ in range(n_rows)], dtype=object)
            for name, pool in zip(names, pools, strict=True)
        }
        tables[f"t{i}.csv"] = pd.DataFrame(columns)
    return tables


def learned(tables):
    """The columns, or None where the tables are refused in words."""
    columns, message = attempt(learn_columns, tables)
    assert columns or "at least one column that varies" in message or "should hold" in message
    return columns


@given(groups())
def test_any_tables_give_finite_matrices_of_one_width(tables):
    before = {name: table.copy() for name, table in tables.items()}
    columns = learned(tables)
    if columns is None:
        return
    stored = json.loads(json.dumps(columns.to_json()))
    assert Columns.from_json(stored) == columns
    assert len(set(columns.feature_names)) == len(columns.feature_names)
    assert learn_columns(tables) == columns
    for name, table in tables.items():
        matrix = encode(columns, table, name)
        assert matrix.shape == (len(table), len(columns.feature_names))
        assert matrix.dtype == np.float64
        assert np.isfinite(matrix).all()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert np.isfinite(matrix.std(0)).all()
        assert np.array_equal(encode(columns, table.iloc[:, ::-1], name), matrix)
        assert np.array_equal(encode(Columns.from_json(stored), table, name), matrix)
        twice = encode(columns, pd.concat([table, table]), name)
        assert np.array_equal(twice, np.vstack([matrix, matrix]))
        assert table.map(repr).equals(before[name].map(repr))


@given(groups(), st.lists(cells, min_size=1, max_size=5))
def test_any_new_table_is_encoded_or_refused(tables, values):
    columns = learned(tables)
    if columns is None:
        return
    new = pd.DataFrame({column.name: pd.Series(values, dtype=object) for column in columns.columns})
    matrix, message = attempt(encode, columns, new, "new.csv")
    if matrix is None:
        assert "of new.csv should hold" in message
    else:
        assert matrix.shape == (len(values), len(columns.feature_names))
        assert np.isfinite(matrix).all()


@given(groups())
def test_the_order_of_columns_and_tables_changes_no_kind(tables):
    columns = learned(tables)
    if columns is None:
        return
    turned = learn_columns({name: table.iloc[:, ::-1] for name, table in reversed(tables.items())})
    kinds = {
        column.name: (column.kind, column.low, column.high, column.median, column.levels) for column in columns.columns
    }
    assert kinds == {c.name: (c.kind, c.low, c.high, c.median, c.levels) for c in turned.columns}
