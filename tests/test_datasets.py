"""Data sets: where files come from, what is refused, and what the readers say is in them."""

import errno
import gzip
import hashlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from firstsight import datasets
from firstsight.datasets import archives, cache, digests, download, images, registry, sound, tables
from firstsight.datasets.registry import DATASETS, File, files

BODY = bytes(range(256)) * 800  # 200 kB


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``content``; answers Range requests when told to, and can hang up in the middle."""

    content: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, str | None]]] = []
    ranges: ClassVar[bool] = True
    hang_up_after: ClassVar[int | None] = None

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).asked.append((self.path, asked))
        if self.path not in self.content:
            self.send_error(404)
            return
        body, start = self.content[self.path], 0
        if asked and self.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.hang_up_after is None:
            self.wfile.write(body[start:])
        else:
            self.wfile.write(body[start : start + self.hang_up_after])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    kind = type("Fresh", (Handler,), {"content": {"/file.bin": BODY}, "asked": []})
    with http.server.HTTPServer(("127.0.0.1", 0), kind) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        kind.url = f"http://127.0.0.1:{running.server_address[1]}"
        yield kind
        running.shutdown()
        thread.join()


def a_file(url, body=BODY, path="kind/file.bin", **more):
    row = digests.Hashes(len(body), hashlib.sha256(body).hexdigest(), "none")
    return File(path, url, more.get("pattern", ""), more.get("loose", False), row._replace(**more.get("row", {})))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache and no mirror."""
    monkeypatch.delenv("FIRSTSIGHT_DATA_MIRROR", raising=False)
    monkeypatch.setenv("FIRSTSIGHT_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


# Downloads


def test_download_then_cache(server, home):
    file = a_file(f"{server.url}/file.bin")
    path = cache.locate(file)
    assert path == home / "kind/file.bin"
    assert path.read_bytes() == BODY
    assert cache.locate(file) == path
    assert len(server.asked) == 1  # the second time nothing was asked for
    assert sorted(p.name for p in path.parent.iterdir()) == ["file.bin"]


def test_a_broken_download_asks_for_the_missing_bytes_alone(server, home):
    file = a_file(f"{server.url}/file.bin")
    server.hang_up_after = 70_000
    with pytest.raises(ConnectionError, match="fetch again"):
        cache.locate(file)
    part = home / "kind/file.bin.part"
    have = part.stat().st_size
    assert 0 < have < len(BODY)
    assert not (home / "kind/file.bin").exists()
    server.hang_up_after = None
    assert cache.locate(file).read_bytes() == BODY
    assert server.asked == [("/file.bin", None), ("/file.bin", f"bytes={have}-")]
    assert not part.exists()


@pytest.mark.parametrize("have", [100, len(BODY)])
def test_a_server_without_ranges_sends_all_of_it_again(server, home, have):
    server.ranges = False
    (home / "kind").mkdir(parents=True)
    (home / "kind/file.bin.part").write_bytes(BODY[:have])
    assert cache.locate(a_file(f"{server.url}/file.bin")).read_bytes() == BODY


def test_a_whole_part_is_taken_without_another_byte(server, home):
    (home / "kind").mkdir(parents=True)
    (home / "kind/file.bin.part").write_bytes(BODY)
    assert cache.locate(a_file(f"{server.url}/file.bin")).read_bytes() == BODY
    assert server.asked == [("/file.bin", f"bytes={len(BODY)}-")]


def test_a_wrong_download_is_deleted(server, home):
    file = a_file(f"{server.url}/file.bin", body=b"another")
    found = hashlib.sha256(BODY).hexdigest()
    with pytest.raises(ValueError, match=rf"found sha256 {found}; the download was deleted"):
        cache.locate(file)
    assert [p for p in home.rglob("*") if p.is_file()] == []


def test_http_error_and_no_network(server, home):
    with pytest.raises(ConnectionError, match=r"HTTP status 404; .*FIRSTSIGHT_DATA_MIRROR"):
        cache.locate(a_file(f"{server.url}/none.bin"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        with pytest.raises(ConnectionError, match=r"should be reachable; .*FIRSTSIGHT_DATA_MIRROR"):
            cache.locate(a_file(f"http://127.0.0.1:{taken.getsockname()[1]}/file.bin"))


def test_full_disk(server, home, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_resume", full)
    with pytest.raises(OSError, match=r"should have room for kind/file.bin; .*FIRSTSIGHT_DATA") as caught:
        cache.locate(a_file(f"{server.url}/file.bin"))
    assert caught.value.errno == errno.ENOSPC


def test_cache_that_cannot_be_written(server, home, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError, match="FIRSTSIGHT_DATA"):
        cache.locate(a_file(f"{server.url}/file.bin"))


def test_a_plain_original_stands_for_the_compressed_mirror_copy(server, home):
    server.content["/t.csv"] = b"a,b\n1,2\n"
    row = {"size": 1, "sha256": "of the gz", "contents": hashlib.sha256(b"a,b\n1,2\n").hexdigest()}
    file = a_file(f"{server.url}/t.csv", path="kind/t.csv.gz", row=row)
    path = cache.locate(file)
    assert path.name == "t.csv"
    assert archives.read_bytes(path) == b"a,b\n1,2\n"
    assert cache.locate(file) == path
    assert len(server.asked) == 1


def test_loose_members_are_packed_and_not_asked_for_twice(server, home, tmp_path):
    server.content.update({"/m/a.txt": b"one", "/m/b%20c.txt": b"two"})
    expected = tmp_path / "expected.zip"
    with zipfile.ZipFile(expected, "w") as archive:
        archive.writestr("b c.txt", b"two")
        archive.writestr("a.txt", b"one")
    row = {"contents": digests.contents_of(expected, "z.zip"), "names": ("a.txt", "b c.txt")}
    file = a_file(f"{server.url}/m/", path="kind/z.zip", loose=True, row=row)
    del server.content["/m/b%20c.txt"]
    with pytest.raises(ConnectionError):
        cache.locate(file)
    server.content["/m/b%20c.txt"] = b"two"
    with archives.open_zip(cache.locate(file)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.txt": b"one", "b c.txt": b"two"}
    assert [path for path, _ in server.asked] == ["/m/a.txt", "/m/b%20c.txt", "/m/b%20c.txt"]
    assert sorted(p.name for p in (home / "kind").iterdir()) == ["z.zip"]


# Mirrors


def test_mirror_folder_is_read_in_place(home, tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTSIGHT_DATA_MIRROR", str(tmp_path / "mirror"))
    file = a_file("http://127.0.0.1:9/never")
    with pytest.raises(FileNotFoundError, match=r"should hold kind/file.bin; .*unset FIRSTSIGHT_DATA_MIRROR"):
        cache.locate(file)
    place = tmp_path / "mirror/kind/file.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(BODY)
    assert cache.locate(file) == place
    place.write_bytes(BODY[:-1] + b"x")
    found = hashlib.sha256(BODY[:-1] + b"x").hexdigest()
    with pytest.raises(ValueError, match=rf"{re.escape(str(place))} .*{file.hashes.sha256}.*found sha256 {found}"):
        cache.locate(file)
    assert place.exists()  # a mirror is never changed
    assert not home.exists()


def test_mirror_over_http(server, home, monkeypatch):
    server.content["/data/kind/file.bin"] = BODY
    monkeypatch.setenv("FIRSTSIGHT_DATA_MIRROR", f"{server.url}/data/")
    assert cache.locate(a_file("http://127.0.0.1:9/never")) == home / "kind/file.bin"
    assert server.asked == [("/data/kind/file.bin", None)]


def test_a_file_is_hashed_once(home, tmp_path, monkeypatch):
    monkeypatch.setenv("FIRSTSIGHT_DATA_MIRROR", str(tmp_path))
    (tmp_path / "kind").mkdir()
    (tmp_path / "kind/file.bin").write_bytes(BODY)
    calls = []
    real = cache.accepted
    monkeypatch.setattr(cache, "accepted", lambda *a: calls.append(a) or real(*a))
    for _ in range(3):
        cache.locate(a_file("http://127.0.0.1:9/never"))
    assert len(calls) == 1


def test_unknown_name():
    with pytest.raises(ValueError, match="did you mean 'fashion-mnist'"):
        datasets.fetch("fashion_mnist")


def test_a_repacked_zip_is_accepted(home, tmp_path, monkeypatch):
    def pack(path, folder, order):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in order:
                archive.writestr(f"{folder}{name}", name.encode())

    pattern = r"(?:^|/)data/([^/]+)$"
    pack(tmp_path / "a.zip", "data/", ["x", "y"])
    pack(tmp_path / "b.zip", "release-1/data/", ["y", "x", "../extra"[3:]])
    names = ("x", "y")
    one, two = (digests.contents_of(tmp_path / f"{n}.zip", "a.zip", pattern, names) for n in "ab")
    assert one == two
    pack(tmp_path / "c.zip", "data/", ["x", "z"])
    assert digests.contents_of(tmp_path / "c.zip", "a.zip", pattern, names) != one


# What is not trusted


def test_pickled_arrays_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    np.savez(tmp_path / "bad.npz", X=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="should hold plain arrays"):
        archives.read_npz(tmp_path / "bad.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil"])
def test_members_that_escape_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ValueError, match="relative member paths"):
        archives.open_zip(tmp_path / "bad.zip")


def test_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1001))
    with pytest.raises(ValueError, match="'zeros' unpacks to 1001"):
        archives.open_zip(tmp_path / "bad.zip")
    (tmp_path / "bad.gz").write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(ValueError, match="at most 1000 bytes"):
        archives.read_bytes(tmp_path / "bad.gz")


def test_damaged_archives_are_refused(tmp_path):
    whole = gzip.compress(os.urandom(1000))
    for content in (whole[:-20], whole[:500] + b"\x00" * 20 + whole[520:]):
        (tmp_path / "bad.gz").write_bytes(content)
        with pytest.raises(ValueError, match="whole gzip file"):
            archives.read_bytes(tmp_path / "bad.gz")
    (tmp_path / "bad.zip").write_bytes(b"PK not a zip")
    with pytest.raises(ValueError, match="whole zip file"):
        archives.open_zip(tmp_path / "bad.zip")


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x00\x08", b"\x00\x00\x0d\x01\x00\x00\x00\x01x", b"\x00\x00\x08\x01\x00\x00\x00\x02x"]
)
def test_bad_idx(tmp_path, content):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(ValueError, match="should"):
        images.read_idx(tmp_path / "bad")


def test_bad_wave():
    with pytest.raises(ValueError, match="should be a wav file"):
        sound.read_wave(b"RIFF", called="x.wav")


def test_keel_types():
    table = tables.parse_keel("t", b"1, 2.5, a, <null>, yes\n2, ?, b, 3, no\n")
    assert [str(dtype) for dtype in table.X.dtypes] == ["int64", "float64", "category", "float64"]
    assert table.X.isna().sum().tolist() == [0, 1, 0, 1]
    assert table.y.tolist() == ["yes", "no"]
    for content in (b"1,2\n1,2,3\n", b"1\n2\n", b"1,?\n"):
        with pytest.raises(ValueError, match="should have"):
            tables.parse_keel("t", content)


# The table


def test_listing_is_light():
    code = (
        "import sys; from firstsight.datasets import DATASETS, files; [files(n) for n in DATASETS];"
        "print([m for m in ('torch', 'pandas', 'requests', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_entry_says_what_it_is():
    for entry in DATASETS.values():
        assert entry.kind in {"images", "sound", "text", "clustering", "anomaly", "tables", "stream"}
        assert all(entry[:5])
        assert "\n" not in entry.summary
        for source in entry.sources:
            assert source.url.startswith("http")
            assert source.loose == (source.url.endswith("/") and not source.path.endswith("/"))
    listed = [file.path for name in DATASETS for file in files(name)]
    assert sorted(listed) == sorted(digests.known())  # each digest belongs to one file of one data set
    assert all(re.fullmatch(r"[0-9a-f]{64}", h.sha256 + "") and len(h.contents) == 64 for h in digests.known().values())


def test_public_names():
    assert all(getattr(datasets, name) is not None for name in datasets.__all__)
    assert callable(datasets.fetch)


# The mirror


def test_every_file_of_the_mirror_is_known_and_right(mirror):
    known = {path.relative_to(mirror) for name in DATASETS for path in datasets.fetch(name)}
    there = {path.relative_to(mirror) for path in mirror.rglob("*") if path.is_file()}
    assert {str(path) for path in there - known} <= {
        "README.md", "SHA256SUMS", "adbench/LICENSE", "clustering-data-v1/LICENSE",
    }  # fmt: skip


def test_contents_are_right_however_packed(mirror):
    for name in ("fsdd", "keel", "banking77", "nab", "ovrbench"):
        for file, path in zip(files(name), datasets.fetch(name), strict=True):
            found = digests.contents_of(path, file.path, file.pattern, file.hashes.names)
            assert found == file.hashes.contents


def test_digits():
    digits = datasets.load_digits()
    assert digits.X.shape == (1797, 1, 8, 8)
    assert digits.X.dtype == np.float32
    assert (digits.X.min(), digits.X.max()) == (0, 1)
    assert np.bincount(digits.y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_omniglot(mirror):
    found = {part: datasets.load_omniglot(part=part, rotations=False) for part in ("train", "validation", "test")}
    names = {part: set(data.class_names) for part, data in found.items()}
    assert {part: len(group) for part, group in names.items()} == {"train": 1028, "validation": 172, "test": 423}
    assert len(set.union(*names.values())) == 1623
    for data in found.values():
        assert data.X.shape == (20 * len(data.class_names), 1, 28, 28)
        assert data.X.dtype == np.float32
        assert data.X.min() >= 0
        assert data.X.max() <= 1
        assert np.bincount(data.y).tolist() == [20] * len(data.class_names)
        assert data.class_names == tuple(sorted(data.class_names))
        assert 0.05 < data.X.mean() < 0.12  # ink is 1 and there is little of it
    turned = datasets.load_omniglot(part="validation")
    assert len(turned.class_names) == 4 * 172
    four = turned.X.reshape(172, 4, 20, 28, 28)
    assert np.array_equal(four[:, 0].reshape(-1, 1, 28, 28), found["validation"].X)
    assert np.array_equal(four[:, 1], np.rot90(four[:, 0], axes=(2, 3)))
    assert turned.class_names[1].endswith("rot090")


def test_omniglot_as_drawn(mirror):
    data = datasets.load_omniglot(size=105, part="validation", rotations=False)
    assert data.X.shape == (3440, 1, 105, 105)
    assert data.X.dtype == np.uint8
    assert set(np.unique(data.X)) == {0, 1}
    small = datasets.load_omniglot(part="validation", rotations=False)
    assert np.allclose(data.X.mean((1, 2, 3)), small.X.mean((1, 2, 3)), atol=0.01)


@pytest.mark.parametrize("wrong", [{"size": 27}, {"part": "val"}])
def test_omniglot_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        datasets.load_omniglot(**wrong)


def test_mnist_and_fashion(mirror):
    digits, clothes = datasets.load_mnist(), datasets.load_fashion_mnist()
    for data in (digits, clothes):
        assert data.X.shape == (10000, 1, 28, 28)
        assert (data.X.min(), data.X.max()) == (0, 1)
        assert len(data.class_names) == 10
    assert digits.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(clothes.y).tolist() == [1000] * 10


def test_fsdd(mirror):
    data = datasets.load_fsdd()
    assert len(data.X) == 3000
    assert data.rate == 8000
    assert np.bincount(data.y).tolist() == [50] * 60
    assert data.speaker_names == ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    assert data.class_names[data.y[-1]] == "9/yweweler"
    assert all(wave.dtype == np.int16 and 1000 < len(wave) < 20000 and wave.std() > 0 for wave in data.X)


def test_clinc_and_banking(mirror):
    clinc = datasets.load_clinc150()
    assert clinc.table.groupby("part").size().to_dict() == {"test": 5500, "train": 15100, "validation": 3100}
    assert len(clinc.class_names) == len(set(clinc.class_names)) == 150
    assert len(clinc.domains) == 10
    assert clinc.table["out_of_scope"].sum() == 1200
    inside = clinc.table[~clinc.table["out_of_scope"]]
    assert inside.groupby("label").size().tolist() == [150] * 150
    assert set(inside["label"]) == set(clinc.class_names)
    banking = datasets.load_banking77()
    assert set(banking.table["label"]) == set(banking.class_names)
    assert len(banking.class_names) == 77
    assert [len(datasets.load_banking77(part=part).table) for part in ("train", "test")] == [10003, 3080]
    with pytest.raises(ValueError, match="part='dev' should be one of"):
        datasets.load_clinc150(part="dev")


def test_gagolewski(mirror):
    names = datasets.list_gagolewski()
    loaded = {name: datasets.load_gagolewski(name) for name in names}
    assert len(loaded) == 88
    assert sum(len(data.labels) for data in loaded.values()) == 157
    for data in loaded.values():
        assert data.X.dtype == np.float64
        assert np.isfinite(data.X).all()
        assert all(len(answer) == len(data.X) and answer.min() >= 0 for answer in data.labels)
        assert len(data.description) > 50
    assert np.bincount(loaded["fcps/lsun"].labels[0]).tolist() == [0, 200, 100, 100]
    assert len(loaded["sipu/compound"].labels) == 5
    with pytest.raises(ValueError, match="did you mean 'fcps/lsun'"):
        datasets.load_gagolewski("fcps/lsun3d")


def test_keel(mirror):
    names = datasets.list_keel()
    loaded = {name: datasets.load_keel(name) for name in names}
    assert [sum(name.startswith(kind) for name in names) for kind in ("balanced", "imbalanced")] == [35, 49]
    assert sum(data.X.isna().to_numpy().sum() for data in loaded.values()) == 4
    for data in loaded.values():
        assert data.y.nunique() >= 2
        assert len(data.X) == len(data.y)
    crx = loaded["balanced/crx"].X.dtypes.astype(str).tolist()
    assert crx.count("category") == 9
    assert loaded["imbalanced/abalone19"].family == loaded["imbalanced/abalone-21_vs_8"].family == "abalone"


def test_anomaly_tables(mirror):
    assert len(datasets.list_adbench()) == 28
    for name in datasets.list_adbench():
        data = datasets.load_adbench(name)
        assert np.isfinite(data.X).all()
        assert 0 < data.y.mean() < 0.45
    assert np.array_equal(datasets.load_adbench("4_breastw").X, datasets.load_adbench("breastw").X)
    assert datasets.load_adbench("WBC").y.sum() == 10
    for names, load, count in (
        (datasets.list_oddbench(), datasets.load_oddbench, 341),
        (datasets.list_ovrbench(), datasets.load_ovrbench, 140),
    ):
        assert len(names) == count
        for name in names:
            table = load(name)
            assert np.isfinite(table.train).all()
            assert np.isfinite(table.test).all()
            assert set(np.unique(table.y)) == {0, 1}


def test_elec2(mirror):
    stream = datasets.load_elec2()
    assert stream.X.shape == (45312, 6)
    assert np.bincount(stream.y).tolist() == [26075, 19237]
    times = pd.DatetimeIndex(stream.X.index)
    assert (str(times[0]), str(times[-1])) == ("1996-05-07 00:00:00", "1998-12-05 23:30:00")
    assert np.array_equal(times.hour * 2 + times.minute // 30, np.round(stream.X["period"] * 47))
    demand = stream.X["nswdemand"].to_numpy().reshape(-1, stream.rows_a_day)
    assert np.array_equal(demand[362], demand[363])  # 4 May 1997 is in the file twice
    assert times[362 * 48] == times[363 * 48] == pd.Timestamp("1997-05-04")
    weekly = stream.X["nswdemand"].groupby(times.day_of_week).mean()
    assert set(weekly.nsmallest(2).index) == {5, 6}  # the weekend, so the dates are right


def test_nab(mirror):
    series = datasets.load_nab()
    assert len(series) == 58
    assert sum(len(one.windows) for one in series) == 116
    for one in series:
        assert one.anomalous.any() == bool(one.windows)
        assert one.values.notna().all()
        assert (one.name.startswith("artificialNoAnomaly")) <= (not one.windows)


def test_hashes_are_written_as_they_are_read(mirror, tmp_path):
    (source,) = DATASETS["ovrbench"].sources
    digests.write_hashes(mirror, [(source.path, source.pattern, True)], tmp_path / "t.json")
    assert f"{source.path!r}: ".replace("'", '"') in (tmp_path / "t.json").read_text()
    written = digests.Hashes(**json.loads((tmp_path / "t.json").read_text())[source.path])
    assert written._replace(names=tuple(written.names)) == digests.known()[source.path]


def test_registry_errors():
    with pytest.raises(ValueError, match="should be a known data set"):
        registry.describe("omni")
