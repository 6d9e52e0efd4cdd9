"""A family of tables from the folder to the answer, as a user meets it on the command line."""

import functools
import json
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from firstsight import catalogue, datasets
from firstsight.cli import main
from firstsight.core import Data
from firstsight.datasets.rows import groups_by_rows, row_hashes, share_seen
from firstsight.engine.scratch import from_scratch
from firstsight.family import read
from firstsight.family.run import adapts_without_truth, read_run
from firstsight.learners import autoencoder, kmeans
from firstsight.seeds import generator_of
from firstsight.tasks import tables

SMALL = [
    "--n-support",
    "10",
    "--n-query",
    "20",
    "--steps",
    "20",
    "--n-clusters",
    "3",
    "--backend",
    "vmap",
    "--chunk",
    "16",
]


def store(seed, n_rows=60):
    """Rows around three centres that all stores share up to a little."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=n_rows)
    centres = np.array([[0.0, 0], [5, 1], [0, 6]]) + 0.1 * rng.normal(size=(3, 2))
    X = centres[kind] + 0.8 * rng.normal(size=(n_rows, 2))
    return pd.DataFrame({"price": 10 * X[:, 0], "units": X[:, 1], "kind": np.array(["a", "b", "c"])[kind]})


def write_family(folder, seeds, **options):
    folder.mkdir(parents=True)
    for seed in seeds:
        store(seed, **options).to_csv(folder / f"store{seed:02}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    root = tmp_path_factory.mktemp("family")
    write_family(root / "old", range(12))
    write_family(root / "new", range(50, 56))
    assert firstsight("meta-train", "--tasks", root / "old", "--out", root / "run", "--label", "kind", *SMALL)[0] == 0
    return root


def firstsight(*arguments, cwd=None):
    """Exit code and everything printed, from a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "firstsight", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    return result.returncode, result.stdout + result.stderr


def here(*arguments, monkeypatch, capsys):
    """The same in this process, which is quicker."""
    monkeypatch.setattr(sys, "argv", ["firstsight", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out + said.err


def test_a_family_is_learned_tested_and_adapted_to(family, tmp_path):
    code, said = firstsight("test", family / "run", "--tasks", family / "new", "--out", tmp_path)
    assert code == 0, said
    assert "6 tables never seen" in said
    content = json.loads((tmp_path / "test.json").read_text())
    assert {row["table"] for row in content["tables"]} == {f"store{seed}.csv" for seed in range(50, 56)}
    # The family shares its centres: with 10 rows the past is worth more than starting afresh.
    assert content["adapted_minus"]["from scratch, same rows"]["high"] < 0
    assert content["summary"]["adapted, adjusted Rand"]["mean"] > 0.8
    assert (tmp_path / "test.png").read_bytes().startswith(b"\x89PNG")

    code, said = firstsight("adapt", family / "run", family / "new" / "store50.csv", "-o", tmp_path / "out.csv")
    assert code == 0, said
    result = pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(result.drop(columns="cluster"), store(50))
    assert result.groupby("kind")["cluster"].agg(lambda found: found.mode()[0]).nunique() == 3
    # The label is not needed where nothing is scored.
    store(50).drop(columns="kind").to_csv(tmp_path / "bare.csv", index=False)
    code, said = firstsight("adapt", family / "run", tmp_path / "bare.csv")
    assert code == 0
    assert said.splitlines()[0] == "price,units,cluster"


def test_no_table_of_meta_training_is_tested_on(family, tmp_path, monkeypatch, capsys):
    mixed = write_family(tmp_path / "mixed", [50, 51])
    shuffled = store(3).sample(frac=0.7, random_state=0)[["units", "kind", "price"]]
    shuffled.to_csv(mixed / "another name.csv", index=False)
    arguments = ["test", family / "run", "--tasks", mixed, "--out", tmp_path / "t"]
    code, said = here(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, said
    assert "another name.csv shares rows with store03.csv, which the run has learned from: left out" in said
    assert "2 tables never seen" in said
    code, said = here("test", family / "run", "--tasks", family / "old", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "no table of" in said


def test_meta_training_and_meta_validation_share_no_rows(tmp_path, monkeypatch, capsys):
    folder = write_family(tmp_path / "old", range(6))
    for copy in range(4):
        store(copy).iloc[::-1].to_csv(folder / f"copy{copy}.csv", index=False)
    for seed in range(5):
        arguments = ["meta-train", "--tasks", folder, "--out", tmp_path / f"run{seed}", "--seed", seed, *SMALL]
        code, said = here(*arguments, "--ignore", "kind", monkeypatch=monkeypatch, capsys=capsys)
        assert code == 0, said
        assert "share rows and are kept on one side" in said
        names = read_run(tmp_path / f"run{seed}").names
        hashes = {
            name: set(row_hashes(pd.read_csv(folder / name)).tolist()) for part in names.values() for name in part
        }
        assert len(hashes) == 10
        learned = set().union(*(hashes[name] for name in names["train"]))
        assert not any(hashes[name] & learned for name in names["validate"])


def test_a_run_goes_on_and_refuses_other_settings_and_tables(family, tmp_path, monkeypatch, capsys):
    arguments = ["meta-train", "--tasks", family / "old", "--out", family / "run", "--label", "kind", *SMALL]
    before = (family / "run" / "checkpoint.safetensors").read_bytes()
    code, said = here(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, said
    assert "goes on from step 20 of 20" in said
    assert (family / "run" / "checkpoint.safetensors").read_bytes() == before
    code, said = here(*arguments, "--inner-steps", 2, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "holds a run with inner_steps=5, now 2; ask the same, or pass another --out" in said
    arguments[2] = family / "new"
    code, said = here(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "was learned from other tables" in said


def test_flags_come_from_toml_and_the_command_line_wins(family, tmp_path, monkeypatch, capsys):
    toml = tmp_path / "run.toml"
    toml.write_text(
        f'tasks = "{family / "old"}"\nlearner = "autoencoder"\nignore = ["kind"]\n'
        "[training]\nsteps = 30\nmeta-batch = 4\n[tasks-and-rows]\nn_support = 10\nn_query = 20\n"
    )
    code, said = here(
        "meta-train", "--config", toml, "--out", tmp_path / "run", "--steps", 3, monkeypatch=monkeypatch, capsys=capsys
    )
    assert code == 0, said
    asked = read_run(tmp_path / "run").asked
    assert (asked.learner, asked.train.steps, asked.train.meta_batch, asked.tables.n_support) == (
        "autoencoder",
        3,
        4,
        10,
    )
    code, said = here("adapt", tmp_path / "run", family / "new" / "store50.csv", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, said
    assert said.splitlines()[0] == "price,units,kind,code_0,code_1"
    for line, message in (
        ("stepz = 3", "did you mean steps?"),
        ("steps = [", "should be TOML"),
        ("steps = 'a'", "steps"),
    ):
        toml.write_text(line)
        code, said = here(
            "meta-train", "--config", toml, "--tasks", family / "old", "--out", tmp_path / "x",
            monkeypatch=monkeypatch, capsys=capsys,
        )  # fmt: skip
        assert code == 2
        assert message in said


def test_one_file_with_a_group_column(tmp_path, monkeypatch, capsys):
    everything = pd.concat(
        [store(seed).assign(shop=f"shop {seed}") for seed in range(6)] + [store(9, 1).assign(shop="x")]
    )
    everything.to_csv(tmp_path / "all.csv", index=False)
    code, said = here(
        "meta-train", "--tasks", tmp_path / "all.csv", "--group", "shop", "--ignore", "kind", "--out", tmp_path / "run",
        *SMALL, monkeypatch=monkeypatch, capsys=capsys,
    )  # fmt: skip
    assert code == 0, said
    assert "left out, for having fewer than n_support + n_query rows: 1, such as shop=x (1)" in said
    assert sum(map(len, read_run(tmp_path / "run").names.values())) == 6
    new = pd.concat([store(seed).assign(shop=seed) for seed in (20, 21)])
    new.to_csv(tmp_path / "new.csv", index=False)
    code, said = here("test", tmp_path / "run", "--tasks", tmp_path / "new.csv", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, said
    assert "2 tables never seen" in said


def broken(folder, name, content):
    write_family(folder, range(4))
    (folder / name).write_bytes(content)


BAD = {
    "an empty folder": (lambda folder: folder.mkdir(), [], "found no file"),
    "no folder": (lambda folder: None, [], "should be a folder"),
    "other columns": (
        lambda folder: broken(folder, "odd.csv", b"price,colour\n" + b"1,2\n" * 40),
        [],
        "odd.csv",
    ),
    "not a table": (lambda folder: broken(folder, "odd.csv", bytes(range(256)) * 9), [], "odd.csv"),
    "text in one file, numbers in the others": (
        lambda folder: broken(folder, "odd.csv", b"price,units,kind\n" + b"cheap,2,a\ndear,3,b\n" * 20),
        ["--label", "kind"],
        "price",
    ),
    "too short": (lambda folder: write_family(folder, range(4), n_rows=9), [], "lower --n-support or --n-query"),
    "one table": (lambda folder: write_family(folder, [1]), [], "at least two tables"),
    "no such label": (lambda folder: write_family(folder, range(4)), ["--label", "truth"], "truth"),
    "group of a folder": (lambda folder: write_family(folder, range(4)), ["--group", "kind"], "is a folder"),
    "a learner of images": (lambda folder: write_family(folder, range(4)), ["--learner", "contrastive"], "autoencoder"),
    "an unknown learner": (lambda folder: write_family(folder, range(4)), ["--learner", "kmean"], "should be one of"),
    "an unknown flag": (lambda folder: write_family(folder, range(4)), ["--nonsense"], "Unknown option"),
    "out of range": (lambda folder: write_family(folder, range(4)), ["--meta-batch", "0"], "meta_batch=0 should be"),
}


@pytest.mark.parametrize(("make", "arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_said_in_one_sentence(make, arguments, message, tmp_path, monkeypatch, capsys):
    make(tmp_path / "family")
    small = [] if "--learner" in arguments else SMALL
    code, said = here(
        "meta-train", "--tasks", tmp_path / "family", "--out", tmp_path / "run", *small, *arguments,
        monkeypatch=monkeypatch, capsys=capsys,
    )  # fmt: skip
    assert code == 2
    assert message in said
    assert not (tmp_path / "run").exists()


def test_bad_runs_are_said_in_one_sentence(family, tmp_path, monkeypatch, capsys):
    table = family / "new" / "store50.csv"
    code, said = here("adapt", tmp_path, table, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "no run at" in said
    (tmp_path / "run.json").write_text('{"format": 1}')
    code, said = here("adapt", tmp_path, table, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "cannot be read" in said
    store(50).drop(columns="price").to_csv(tmp_path / "less.csv", index=False)
    code, said = here("adapt", family / "run", tmp_path / "less.csv", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "less.csv" in said
    assert "price" in said


def test_a_table_unlike_the_family_is_told(family, tmp_path, monkeypatch, capsys):
    odd = store(50)
    odd["price"] += 1000
    odd.to_csv(tmp_path / "odd.csv", index=False)
    code, said = here("adapt", family / "run", tmp_path / "odd.csv", "-o", tmp_path / "out.csv",
                      monkeypatch=monkeypatch, capsys=capsys)  # fmt: skip
    assert code == 0
    assert "the mean of price lies" in said


def test_a_third_missing_simply_works(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "holes"
    folder.mkdir()
    for seed in range(8):
        table = store(seed).drop(columns="kind")
        table = table.mask(np.random.default_rng(seed).random(table.shape) < 0.3)
        table.to_csv(folder / f"{seed}.csv", index=False)
    code, said = here("meta-train", "--tasks", folder, "--out", tmp_path / "run", *SMALL,
                      monkeypatch=monkeypatch, capsys=capsys)  # fmt: skip
    assert code == 0, said
    code, said = here("adapt", tmp_path / "run", folder / "3.csv", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, said


def test_list_and_data_list_name_everything(monkeypatch, capsys):
    _, said = here("list", monkeypatch=monkeypatch, capsys=capsys)
    for entries in (catalogue.LEARNERS, catalogue.META_LEARNERS, catalogue.TASKS):
        assert all(f"  {name} " in said for name in entries)
    _, said = here("data", "list", monkeypatch=monkeypatch, capsys=capsys)
    assert [line.split()[0] for line in said.splitlines()] == sorted(datasets.DATASETS)


@given(st.data())
def test_tasks_of_tables_hold_rows_of_one_table_each_once(data):
    lengths = data.draw(st.lists(st.integers(5, 30), min_size=1, max_size=6))
    n_support = data.draw(st.integers(1, 4))
    config = tables.Config(n_support=n_support, n_query=5 - n_support, scale="none")
    # A row is (its table, its number).
    family = [
        torch.stack([torch.full((length,), float(table)), torch.arange(length, dtype=torch.float32)], 1)
        for table, length in enumerate(lengths)
    ]
    task = tables.build(config, family)(generator_of(data.draw(st.integers(0, 9))), 7)
    rows = torch.cat([task.support.X, task.query.X], 1)
    for drawn in rows.tolist():
        assert len({table for table, _ in drawn}) == 1
        assert len({number for _, number in drawn}) == 5
        assert all(number < lengths[int(table)] for table, number in drawn)


def test_columns_are_standardised_by_the_family_or_by_the_support_alone():
    generator = generator_of(0)
    family = [torch.randn(40, 3, generator=generator) * 5 + table for table in range(4)]
    every = torch.cat(family)
    task = tables.build(tables.Config(n_support=30, n_query=10), family[:1])(generator, 1)
    both = torch.cat([task.support.X, task.query.X], 1)[0]
    torch.testing.assert_close(both.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    held = tables.build(tables.Config(n_support=30, n_query=10), family[:1], scaling=tables.scaling_of(every))
    both = torch.cat([*(part.X[0] for part in held(generator, 1))])
    torch.testing.assert_close(both.mean(0) * every.std(0, correction=0) + every.mean(0), family[0].mean(0))
    alone = tables.build(tables.Config(n_support=30, n_query=10, scale="task"), family)(generator, 5).support.X
    torch.testing.assert_close(alone.mean(1), torch.zeros(5, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.std(1, correction=0), torch.ones(5, 3))
    constant = tables.scaled(torch.full((3, 1), 1e9), tables.scaling_of(torch.full((3, 1), 1e9)))
    assert torch.equal(constant, torch.zeros(3, 1))


def test_kmeans_from_scratch_is_as_good_as_scikit_learns():
    from sklearn.cluster import KMeans

    ratios = []
    for seed in range(20):
        X = torch.randn(60, 4, generator=generator_of(seed)) * 3
        learner = kmeans.build(kmeans.Config(n_features=4, n_clusters=6))
        ours = float(learner.loss(from_scratch(learner, Data(X), seed=seed), Data(X)))
        theirs = KMeans(6, n_init=10, random_state=seed).fit(X.numpy()).inertia_ / len(X)
        ratios.append(ours / theirs)
    assert 0.97 < float(np.mean(ratios)) < 1.03
    assert max(ratios) < 1.1


def test_an_autoencoder_from_scratch_comes_near_principal_components():
    from sklearn.decomposition import PCA

    X = torch.randn(200, 2, generator=generator_of(0)) @ torch.randn(2, 5, generator=generator_of(1))
    learner = autoencoder.build(autoencoder.Config(n_features=5, n_code=2))
    ours = float(learner.loss(from_scratch(learner, Data(X), n_steps=1000), Data(X)))
    assert PCA(2).fit(X.numpy()).explained_variance_ratio_.sum() > 0.999
    assert ours < 0.05 * float(X.var())


@given(st.integers(0, 50), st.floats(0.6, 1.0))
def test_extracts_are_known_again_and_strangers_are_not(seed, share):
    table = store(seed, 400)
    extract = row_hashes(table.sample(frac=share, random_state=seed)[["kind", "units", "price"]])
    other = row_hashes(store(seed + 1000, 400))
    whole = row_hashes(table)
    assert share_seen(extract, whole) == share_seen(whole, extract) == 1
    assert share_seen(other, whole) == 0
    assert groups_by_rows([whole, other, extract]) == [0, 1, 0]


def test_short_extracts_of_long_tables_are_known_and_answers_to_few_questions_are_no_evidence():
    rng = np.random.default_rng(0)
    long = pd.DataFrame(rng.normal(size=(50_000, 3)))
    assert share_seen(row_hashes(long.iloc[::600].round(10)), row_hashes(long)) == 1
    answers = [pd.DataFrame(rng.integers(0, 3, size=(60, 3))) for _ in range(8)]
    hashes = [row_hashes(table) for table in answers]
    assert groups_by_rows([*hashes, row_hashes(answers[3].sample(frac=1, random_state=0))]) == [*range(8), 3]


def test_copies_do_not_flood_meta_validation():
    hashes = [np.array([0 if number < 17 else number], dtype=np.uint64) for number in range(20)]
    for seed in range(10):
        names = [str(number) for number in range(20)]
        training, validation, together = read.split_family(names, hashes, read.Config(), seed=seed)
        assert len(validation) <= 4
        assert len(training) + len(validation) == 20
        assert together == [names[:17]]


def test_what_is_not_learned_hides_no_copy_and_cannot_be_truth(tmp_path, monkeypatch, capsys):
    """An identifier makes every row another, but nothing is learned from it."""
    folder = tmp_path / "old"
    folder.mkdir()
    for seed in range(6):
        store(seed).assign(id=np.arange(60) + 1000 * seed).to_csv(folder / f"{seed}.csv", index=False)
    store(0).assign(id=np.arange(60) + 9000).to_csv(folder / "copy.csv", index=False)
    code, said = here("meta-train", "--tasks", folder, "--out", tmp_path / "run", "--ignore", "id", *SMALL,
                      monkeypatch=monkeypatch, capsys=capsys)  # fmt: skip
    assert code == 0, said
    assert "0.csv, copy.csv share rows" in said
    new = tmp_path / "new"
    new.mkdir()
    known = store(1).assign(id=5)
    known["kind"] += " "  # blanks make no other level
    known.to_csv(new / "known.csv", index=False)
    arguments = ["test", tmp_path / "run", "--tasks", new]
    code, said = here(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "known.csv shares rows with 1.csv" in said
    code, said = here(*arguments, "--label", "kind", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "label='kind' is a column that the run has learned from" in said


def test_a_refused_setting_leaves_no_run_behind(tmp_path, monkeypatch, capsys):
    folder = write_family(tmp_path / "old", range(6))
    arguments = ["meta-train", "--tasks", folder, "--out", tmp_path / "run", "--label", "kind", *SMALL]
    code, said = here(*arguments, "--frozen", "foo", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "foo" in said
    code, said = here(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0, said
    (tmp_path / "run" / "run.json").unlink()
    code, said = here(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2
    assert "has no run.json" in said


@pytest.mark.parametrize(
    "meta", [meta for meta, entry in catalogue.META_LEARNERS.items() if adapts_without_truth(entry)]
)
@pytest.mark.parametrize("learner", ["kmeans", "autoencoder"])
def test_every_meta_learner_runs_as_recommended(learner, meta, tmp_path, monkeypatch, capsys):
    folder = write_family(tmp_path / "old", range(5))
    code, said = here(
        "meta-train", "--tasks", folder, "--out", tmp_path / "run", "--ignore", "kind", "--steps", 2, "--n-support", 10,
        "--n-query", 20, "--backend", "vmap", "--scale", "task", "--learner", learner, "--meta", meta,
        monkeypatch=monkeypatch, capsys=capsys,
    )  # fmt: skip
    assert code == 0, said


def test_ctrl_c_is_said(tmp_path):
    folder = write_family(tmp_path / "old", range(5))
    command = [sys.executable, "-m", "firstsight", "meta-train", "--tasks", folder, "--out", tmp_path / "run"]
    command += ["--label", "kind", *SMALL[:4], "--steps", "100000", "--backend", "vmap"]
    # Where the tests run in the background of a shell, children would ignore the signal.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heed
    ) as process:
        try:
            while not (tmp_path / "run" / "run.json").exists():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted; the same command goes on" in said


def test_a_rare_value_in_a_column_does_not_explode_on_the_scale_of_the_task():
    column = torch.zeros(200, 1, dtype=torch.float64)
    column[::20] = 10_000
    sample = tables.build(tables.Config(n_support=10, n_query=60, scale="task"), [column])
    task = sample(generator_of(0), 50)
    assert float(task.query.X.abs().max()) < 100
    with pytest.raises(ValueError, match="in float32 should be finite"):
        tables.build(tables.Config(n_support=10, n_query=60, scale="none"), [column * 1e40])


def test_results_do_not_take_the_place_of_columns_and_go_where_they_can(family, tmp_path, monkeypatch, capsys):
    store(50).assign(kind=1).rename(columns={"kind": "cluster"}).to_csv(tmp_path / "own.csv", index=False)
    code, said = here("adapt", family / "run", tmp_path / "own.csv", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2  # a column that the family has not
    assert "cluster" in said
    table = family / "new" / "store50.csv"
    for output, message in (
        (table, "is the table itself"),
        ("x.parquet", "should end in .csv"),
        ("no/x.csv", "exists"),
    ):
        code, said = here("adapt", family / "run", table, "-o", output, monkeypatch=monkeypatch, capsys=capsys)
        assert code == 2
        assert message in said


def test_rows_without_a_group_are_refused(tmp_path, monkeypatch, capsys):
    everything = pd.concat([store(seed).assign(shop=f"{seed}") for seed in range(4)])
    everything.iloc[:7, 3] = None
    everything.to_csv(tmp_path / "all.csv", index=False)
    code, said = here("meta-train", "--tasks", tmp_path / "all.csv", "--group", "shop", "--out", tmp_path / "run",
                      monkeypatch=monkeypatch, capsys=capsys)  # fmt: skip
    assert code == 2
    assert "7 of 240 have none" in said


def test_settings_of_a_family_are_documented_and_checked():
    for name in read.Config.__dataclass_fields__:
        assert f"{name} : " in read.Config.__doc__
        with pytest.raises((TypeError, ValueError), match=name):
            read.Config(**{name: object()})
