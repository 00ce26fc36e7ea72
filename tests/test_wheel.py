"""The wheel is a library that needs torch alone; the pipeline's packages are extras."""

import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {"pipeline", "nuscenes", "mmdet3d", "slurm", "docs", "dev"}


def name_of(requirement: str) -> str:
    return re.split(r"[\s<>=!;\[]", requirement)[0].lower().replace("_", "-")


def test_the_lock_holds_what_the_workflow_needs():
    lines = (ROOT / "requirements" / "core.txt").read_text(encoding="utf-8").splitlines()
    locked = {name_of(line) for line in lines if line and line[0].isalnum()}
    extras = PROJECT["optional-dependencies"]
    parts = [PROJECT["dependencies"], *(extras[extra] for extra in ("pipeline", "nuscenes", "dev"))]
    wanted = {name_of(requirement) for part in parts for requirement in part}
    assert wanted - locked == set()
    assert set(extras) == EXTRAS


def locked_in(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines)


def test_the_lock_of_mmdet3d_adds_to_the_other_and_names_no_host():
    core, mmdet3d = locked_in("core.txt"), locked_in("mmdet3d.txt")
    extra = {name_of(requirement) for requirement in PROJECT["optional-dependencies"]["mmdet3d"]}
    assert extra <= set(mmdet3d) and not extra & set(core)
    # Both are installed with setuptools below 81 (see pyproject.toml), which mmcv needs.
    assert {name: mmdet3d[name] for name in core if name != "setuptools"} == {
        name: version for name, version in core.items() if name != "setuptools"
    }
    assert all(version.replace(".", "").replace("post", "").isalnum() for version in mmdet3d.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "nexusflow", folder / "nexusflow", ignore=shutil.ignore_patterns("__pycache__"))
    links = os.environ.get("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS", ""))
    environment = os.environ | ({"UV_FIND_LINKS": links} if links else {})
    uv = Path(sys.executable).parent / "uv"
    command = [uv, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", folder]
    subprocess.run(command, check=True, env=environment)
    (path,) = (folder / "dist").glob("*.whl")
    return path


@pytest.mark.slow
def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    needed = [r for r in metadata.get_all("Requires-Dist") if "extra ==" not in r]
    assert [name_of(r) for r in needed] == ["torch"]
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
    assert (
        metadata["Version"] == PROJECT["version"] and "text/markdown" in metadata["Description-Content-Type"]
    )


@pytest.mark.slow
def test_everything_of_the_package_is_inside(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "nexusflow").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "nexusflow/py.typed" in sources
    assert sources - inside == set()
    assert not any(name.startswith("tests/") for name in inside)


@pytest.mark.slow
def test_the_library_touches_no_module_of_the_pipeline(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    check = (
        "import sys; before = set(sys.modules); import torch; torch_modules = set(sys.modules)\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import nexusflow\n"
        "assert not any(name.startswith('nexusflow.') for name in sys.modules)\n"
        "from nexusflow import NexusFlow, attach\n"
        f"assert nexusflow.__file__.startswith({str(tmp_path)!r}), nexusflow.__file__\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - torch_modules}\n"
        "new -= set(sys.stdlib_module_names)\n"
        "ours = {'.'.join(name.split('.')[:2]) for name in sys.modules if name.startswith('nexusflow.')}\n"
        "assert new <= {'nexusflow', 'torch'}, new\n"
        "assert ours == {'nexusflow.alignment'}, ours\n"
    )
    subprocess.run([sys.executable, "-I", "-c", check], check=True, cwd=tmp_path)
