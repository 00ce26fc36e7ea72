"""Jobs share devices that do not exist: never two on one, all of them used, none lost to a killed job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from nexusflow.core import devices
from nexusflow.core.devices import claim_devices, listed_devices
from nexusflow.core.errors import UserError

JOB = """
import os, sys, time
from nexusflow.core import devices
devices._POLL_S = 0.02
(device,) = devices.claim_devices()
assert os.environ["CUDA_VISIBLE_DEVICES"] == device
with open(sys.argv[1], "a") as log:
    log.write(f"+ {device}\\n")
    log.flush()
    time.sleep(float(sys.argv[2]))
    log.write(f"- {device}\\n")
"""


def start(log: Path, folder: Path, seconds: float, listed: str = "0,1") -> subprocess.Popen[bytes]:
    environment = os.environ | {"NEXUSFLOW_DEVICES": listed, "TMPDIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", JOB, str(log), str(seconds)], env=environment)


def test_devices_come_from_the_user_then_cuda_then_the_machine(tmp_path: Path) -> None:
    for name in ("nvidia10", "nvidia2", "nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert listed_devices({}, tmp_path) == ["0", "2", "10"]
    assert listed_devices({"CUDA_VISIBLE_DEVICES": "3, 5"}, tmp_path) == ["3", "5"]
    both = {"CUDA_VISIBLE_DEVICES": "3,5", "NEXUSFLOW_DEVICES": "GPU-ab,MIG-cd"}
    assert listed_devices(both, tmp_path) == ["GPU-ab", "MIG-cd"]
    for nothing in ("", "-1"):
        assert listed_devices({"CUDA_VISIBLE_DEVICES": nothing}, tmp_path) == []


@pytest.mark.parametrize("visible", ["", "7"])
def test_one_device_or_none_is_left_alone(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setattr(devices, "_lock", lambda device: pytest.fail("locked"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.delenv("NEXUSFLOW_DEVICES", raising=False)
    assert claim_devices() == [] and os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_no_two_jobs_share_a_device_and_all_devices_work(tmp_path: Path) -> None:
    log = tmp_path / "log"
    jobs = [start(log, tmp_path, 0.3) for _ in range(5)]
    assert [job.wait(timeout=120) for job in jobs] == [0] * 5
    busy: set[str] = set()
    used: set[str] = set()
    for sign, device in (line.split() for line in log.read_text().splitlines()):
        if sign == "+":
            assert device not in busy, log.read_text()
            busy.add(device)
            used.add(device)
        else:
            busy.remove(device)
    assert used == {"0", "1"} and not busy


def test_a_job_of_several_devices_takes_all_or_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "_folder", lambda: tmp_path)
    held: list[IO[str]] = []
    monkeypatch.setattr(devices, "_held", held)
    assert devices._claim(["0", "1", "2"], 2) == ["0", "1"]
    assert devices._claim(["0", "1", "2"], 2) == []
    assert devices._claim(["2"], 1) == ["2"], "what was not enough must be free again"
    for stream in held:
        stream.close()


def test_more_devices_than_there_are_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUSFLOW_DEVICES", "0,1")
    with pytest.raises(UserError, match=r"training\.devices is 3, but this machine offers 0, 1 only"):
        claim_devices(3)


def test_a_killed_job_gives_its_device_back(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = start(log, tmp_path, 600, listed="0")
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    second = start(log, tmp_path, 0, listed="0")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert second.wait(timeout=120) == 0
    assert log.read_text().splitlines() == ["+ 0", "+ 0", "- 0"]
