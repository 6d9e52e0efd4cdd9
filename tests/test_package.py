"""What a newcomer meets first: the import, the command line, README, examples."""

import dataclasses
import inspect
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from firstsight import TrainConfig, catalogue, cli
from firstsight.family import read
from firstsight.family.run import adapts_without_truth, learns_from_tables
from firstsight.tasks import tables

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def run(*command, cwd=ROOT, **kwargs):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=cwd, **kwargs)


def test_import_does_not_import_torch():
    code = "import sys, firstsight; assert firstsight.__version__; sys.exit('torch' in sys.modules)"
    assert run("-c", code).returncode == 0


def test_help_does_not_import_torch():
    code = (
        "import sys; sys.argv = ['firstsight', '--help']\nfrom firstsight.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\nsys.exit('torch' in sys.modules)"
    )
    result = run("-c", code)
    assert result.returncode == 0, result.stderr
    assert "demo" in result.stdout


def test_public_names_are_all_there():
    import firstsight

    assert firstsight.__all__
    for name in firstsight.__all__:
        assert getattr(firstsight, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        firstsight.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--splits", "0"], "splits=0 should be >= 1"),
        (["demo", "--splits", "x"], "unable to convert"),
        (["demo", "--nonsense"], "Unknown option"),
        (["dmo"], "Unknown command"),
        (["demo", "--out", "README.md"], "README.md should be a folder"),
        (["meta-train", "--meta", "protonet"], "meta='protonet' needs classes"),
    ],
)
def test_bad_input_gives_exit_code_2_and_one_sentence(arguments, message):
    result = run("-m", "firstsight", *arguments)
    assert result.returncode == 2
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "meta", [meta for meta, entry in catalogue.META_LEARNERS.items() if adapts_without_truth(entry)]
)
@pytest.mark.parametrize("learner", [name for name, entry in catalogue.LEARNERS.items() if learns_from_tables(entry)])
def test_every_setting_is_a_flag(learner, meta, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "argv", ["firstsight", "meta-train", "--learner", learner, "--meta", meta, "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    said = capsys.readouterr().out
    configs = [catalogue.LEARNERS[learner].config, catalogue.META_LEARNERS[meta].config, TrainConfig, read.Config]
    for field in (field for config in [*configs, tables.Config] for field in dataclasses.fields(config)):
        flag = "--" + field.name.replace("_", "-")
        assert (f"{flag} " in said) == (field.name != "n_features"), flag


def test_version_is_said():
    import firstsight

    assert run("-m", "firstsight", "--version").stdout.strip() == firstsight.__version__


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, flags=re.S))
def test_readme_examples_run(block, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(block)
    result = run("-W", "error", str(script), cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_readme_names_commands_that_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"^make ([a-z]+)", README, flags=re.M))
    assert {"demo", "test"} <= named <= targets
    for target in named:
        result = subprocess.run(["make", "-n", target], capture_output=True, text=True, cwd=ROOT)
        assert result.returncode == 0


LONG = {"few_shot_omniglot.py"}  # half a minute
EXAMPLES = [
    pytest.param(path, marks=[pytest.mark.slow] if path.name in LONG else [], id=path.name)
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.mark.parametrize("path", EXAMPLES)
def test_examples_run(path, capsys, request):
    if "load_" in path.read_text():
        request.getfixturevalue("mirror")
    assert len(path.read_text().splitlines()) <= 120
    main = runpy.run_path(str(path))["main"]
    main(**({"steps": 30} if "steps" in inspect.signature(main).parameters else {}))
    assert capsys.readouterr().out


@pytest.mark.slow
def test_the_demo_runs_small_resumes_and_refuses_other_settings(tmp_path):
    small = ["--splits", "2", "--test-tasks", "3", "--steps", "2", "--out", str(tmp_path / "demo")]
    first = run("-W", "error", "-m", "firstsight", "demo", *small)
    assert first.returncode == 0, first.stderr
    assert "MAML, supervised" in first.stdout
    record = json.loads((tmp_path / "demo" / "record.json").read_text())
    assert record["config"]["splits"] == 2
    assert {len(row["ari"]) for rows in record["rows"].values() for row in rows} == {3}
    assert all(-1 <= value <= 1 for rows in record["rows"].values() for row in rows for value in row["ari"])
    assert (tmp_path / "demo" / "picture.png").read_bytes().startswith(b"\x89PNG")
    checkpoints = list((tmp_path / "demo").rglob("*.safetensors"))
    assert len(checkpoints) == 8
    written = {path: path.stat().st_mtime_ns for path in checkpoints}
    again = run("-m", "firstsight", "demo", *small, "--workers", "1")
    assert again.stdout == first.stdout
    assert written == {path: path.stat().st_mtime_ns for path in checkpoints}
    other = run("-m", "firstsight", "demo", *small, "--seed", "5")
    assert other.returncode == 2
    assert "about.demo.seed=0, now it is 5; resume with the old value, or start in another folder" in other.stderr
    assert "Traceback" not in other.stderr
