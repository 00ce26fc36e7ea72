"""Configuration: strict, frozen, described."""

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from nexusflow.methods import config as sections
from nexusflow.methods.config import MethodConfig, SupervisedConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig

METHOD = TypeAdapter(MethodConfig)


@pytest.mark.parametrize(
    "section",
    [
        {"name": "magic"},
        {"dim": 8},
        {"name": "supervised", "dim": 8},
        {"name": "nexusflow", "lamda": 1},
        {"name": "nexusflow", "dim": 1},
        {"name": "nexusflow", "depth": -1},
        {"name": "nexusflow", "clamp": 0},
        {"name": "nexusflow", "aggregator": {"type": "mlp", "heads": 2}},
        {"name": "nexusflow", "aggregator": {"type": "mean"}},
        {"name": "nexusflow", "dim": 12, "aggregator": {"type": "attention", "heads": 8}},
    ],
    ids=str,
)
def test_mistakes_are_refused(section):
    with pytest.raises(ValidationError):
        METHOD.validate_python(section)


def test_name_chooses_the_section():
    assert isinstance(METHOD.validate_python({"name": "supervised"}), SupervisedConfig)
    assert isinstance(METHOD.validate_python({"name": "nexusflow"}), NexusFlowConfig)


def test_sections_survive_json():
    config = METHOD.validate_python({"name": "nexusflow", "aggregator": {"type": "deformable", "points": 2}})
    assert METHOD.validate_json(config.model_dump_json()) == config


def test_sections_are_frozen():
    with pytest.raises(ValidationError):
        NexusFlowConfig().dim = 3  # type: ignore[misc]


def test_every_field_is_described():
    for name in sections.__all__:
        section = getattr(sections, name)
        for key, field in getattr(section, "model_fields", {}).items():
            assert field.description, f"{name}.{key}"


def test_importing_the_sections_imports_no_torch():
    code = "import sys, nexusflow.methods.config; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
