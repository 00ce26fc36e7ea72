"""A disk that is full within a save: the checkpoint before it is whole, and the message says so."""

import subprocess
import sys
from pathlib import Path

import pytest

UNSHARE = ("unshare", "--map-root-user", "--mount")


def _may_mount() -> bool:
    try:
        command = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/tmp"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _may_mount(), reason="a file system of its own needs mount name spaces")
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    script = Path(__file__).with_name("full_disk.py")
    command = f"mount -t tmpfs -o size=256k tmpfs {tmp_path} && {sys.executable} {script} {tmp_path}"
    done = subprocess.run([*UNSHARE, "sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    message, state = done.stdout.splitlines()
    assert message.startswith(f"Cannot write {tmp_path / 'work' / 'resume_'}")
    assert "No space left" in message
    assert "free some space" in message
    assert state == "resumes at 1 with ['resume_step000000001.safetensors']"
