"""What a user installs: the version, and a wheel that needs nothing of this checkout."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.ports import free_port
from streams.__main__ import main

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = {"agents", "connectors", "infra", "sandbox", "streams"}
DEPLOYED = {"cron", "docker", "grafana", "systemd"}
"""Folders of infra that an operator copies from a checkout; the program reads none of them."""
EVERY_MODULE = f"""
import importlib, pkgutil
for package in {sorted(PACKAGES)}:
    for found in pkgutil.walk_packages([importlib.import_module(package).__path__[0]], package + "."):
        importlib.import_module(found.name)
"""


def tracked():
    """The files of this checkout that belong to the project, whether committed yet or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := Path(name)) and (ROOT / path).is_file()]


def run(*command, cwd, **environment):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("PIP_")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a clean copy: what an earlier build left in the checkout must not get into it."""
    if os.environ.get("TAPESTREAM_REQUIRE_WHEEL") != "1":
        pytest.skip("an install from the package index takes minutes: TAPESTREAM_REQUIRE_WHEEL=1")
    source = tmp_path_factory.mktemp("source")
    for path in tracked():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, source / path)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", ".", cwd=source)
    (made,) = (source / "dist").iterdir()
    return made


def test_the_program_says_its_version():
    result = CliRunner().invoke(main, ["--version"])

    assert (result.exit_code, result.output) == (0, f"tapestream, version {PROJECT['version']}\n")


@pytest.mark.wheel
def test_a_wheel_has_every_file_that_the_program_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())

    info = f"tapestream-{PROJECT['version']}.dist-info"
    assert {name for name in files if name.split("/")[0] != info} == {
        path.as_posix()
        for path in tracked()
        if path.parts[0] in PACKAGES and not (path.parts[0] == "infra" and path.parts[1] in DEPLOYED)
    }
    assert f"{info}/licenses/LICENSE" in files


@pytest.mark.wheel
@pytest.mark.timeout(1800)  # the install is 300 MB
def test_an_installed_wheel_runs_the_demo_from_any_folder(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    bin_ = tmp_path / "venv" / "bin"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(
        *(bin_ / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"),
        f"tapestream[sandbox] @ {wheel.as_uri()}",
        cwd=elsewhere,
    )

    run(bin_ / "python", "-m", "pip", "check", cwd=elsewhere)
    run(bin_ / "python", "-c", EVERY_MODULE, cwd=elsewhere)
    shown = run(bin_ / "tapestream", "demo", "--sandbox", cwd=elsewhere, WEB_PORT=str(free_port()), COLUMNS="200")
    assert run(bin_ / "tapestream", "--version", cwd=elsewhere) == f"tapestream, version {PROJECT['version']}\n"
    assert re.search(r"AAPL +│ polygon +│ raw +│ 3,270 +│ 2000-03-01 │ 2013-03-01", shown), shown
