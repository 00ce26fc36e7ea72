"""Makes the project's virtual environment from the lock file; does nothing when it is up to date.

Needs Python 3.11 or 3.12 and nothing else. Extra links of pip (`PIP_FIND_LINKS`) are passed on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"core": ROOT / "requirements" / "core.txt", "mmdet3d": ROOT / "requirements" / "mmdet3d.txt"}
UV_VERSION = "0.13.9"


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command and stop with its exit code if it fails."""
    result = subprocess.run([str(part) for part in command], env=env, check=False)
    if result.returncode:
        raise SystemExit(f"error: `{' '.join(str(part) for part in command)}` failed; see the lines above.")


def stamp_of(lock: Path) -> str:
    """Hash what decides the content of the environment."""
    content = lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    return hashlib.sha256(content + str(ROOT).encode()).hexdigest()


def main() -> None:
    """Create or refresh the environment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--venv", type=Path, default=ROOT / ".venv", help="folder of the environment (default: .venv)"
    )
    parser.add_argument(
        "--extra", choices=["mmdet3d"], help="also compile and install the extra mmdet3d (minutes)"
    )
    arguments = parser.parse_args()
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        raise SystemExit(
            f"error: Python 3.11 or 3.12 is needed, this is {sys.version.split()[0]}; call another python3."
        )
    venv: Path = arguments.venv if arguments.venv.is_absolute() else ROOT / arguments.venv
    lock = LOCKS[arguments.extra or "core"]
    stamp_file = venv / f"nexusflow-{arguments.extra or 'core'}.stamp"
    stamp = stamp_of(lock)
    if stamp_file.exists() and stamp_file.read_text() == stamp:
        return
    python = venv / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", venv)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={UV_VERSION}")
    env = dict(os.environ)
    links = env.get("UV_FIND_LINKS", env.get("PIP_FIND_LINKS", ""))
    if links:
        env["UV_FIND_LINKS"] = links
    install = (venv / "bin" / "uv", "pip", "install", "--python", python, "--quiet")
    # Compiled once here: every job of the workflow is a process of its own, and where Python may not write
    # compiled files each one would spend half of its start on compiling the libraries again.
    run(*install, "--compile-bytecode", "--requirements", lock, env=env)
    run(*install, "--no-deps", "--editable", ROOT, env=env)
    stamp_file.write_text(stamp)


if __name__ == "__main__":
    main()
