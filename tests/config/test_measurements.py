"""The table of measurements says where each number comes from, and mistakes in it are one sentence."""

from pathlib import Path

import pytest

from nexusflow.config.measurements import read_measurements
from nexusflow.core.errors import UserError


def test_rows_are_found_by_scale_method_and_phase(config_folder: Path) -> None:
    table = read_measurements(config_folder)
    found = table.find("full", "nyuv2", "mtpsl", 1)
    assert found is not None and found.published and "Table 5" in found.where
    assert table.find("full", "nyuv2", "jtr", 1) is None
    assert table.find("full", "nuscenes", "supervised", 2) is None
    assert all(row.where for row in table.measurements)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("device_hours: 384.0", "device_hours: -1", "measurements.0.device_hours"),
        ("    where: UniAD", "    weher: UniAD", "measurements.0.where"),
        ("measurements:", "measurements: [", "not valid YAML"),
    ],
)
def test_mistakes_name_file_and_key(config_folder: Path, old: str, new: str, message: str) -> None:
    path = config_folder / "measurements.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        read_measurements(config_folder)
    assert "measurements.yaml" in str(caught.value) and "\n" not in str(caught.value)
