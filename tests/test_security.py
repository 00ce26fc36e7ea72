"""Sources keep the rules: no pickle, safe YAML, no shell, quoted or harmless words in rules."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nexusflow.core.yaml_files import _Loader

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path for folder in ("nexusflow", "scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow" / "rules").glob("*.smk"))]
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
# These run code from a file or a string, or unpack an archive wherever it says.
CALLS = {
    "torch.load",
    "torch.hub.load",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
    "pd.read_pickle",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "tempfile.mktemp",
    "shutil.unpack_archive",
    "eval",
    "exec",
}
METHODS = {"extractall", "extract", "read_pickle", "to_pickle"}


def dotted(node: ast.expr) -> str:
    """Name of what is called, e.g. "yaml.load"; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def faults(source: str) -> Iterator[str]:
    """What a source does that it must not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (f"import {x.name}" for x in node.names if x.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in MODULES:
                yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
                yield f"call of {ast.unparse(node.func)}"
            for keyword in node.keywords:
                is_off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("shell", "allow_pickle") and not is_off:
                    yield f"{keyword.arg}= in call of {name}"
                if keyword.arg == "weights_only":
                    yield "weights_only=: weights are safetensors files"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(command, shell=True)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall(folder)",
        "eval(text)",
    ],
)
def test_the_check_sees_a_fault(source: str) -> None:
    assert list(faults(source))


def test_the_check_leaves_harmless_lines_alone() -> None:
    assert not list(faults("model.eval()\nyaml.safe_load(text)\nnp.load(path, allow_pickle=False)"))


def test_no_source_runs_what_a_file_says() -> None:
    found = {str(path.relative_to(ROOT)): list(faults(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert len(found) > 200
    # The one reader of YAML names a safe loader, the compiled one where there is one.
    assert found.pop("nexusflow/core/yaml_files.py") == ["call of yaml.load"]
    assert issubclass(_Loader, yaml.constructor.SafeConstructor)
    assert {path: what for path, what in found.items() if what} == {}


def shell_words(text: str) -> set[str]:
    """What is put into shell commands of a file of rules without quotes."""
    commands = re.findall(r"shell:\n((?: +[rf]?\".*\"\n)+)", text)
    return {word for command in commands for word in re.findall(r"(?<!\{)\{([^{}]+)\}", command)} - {
        "input:q",
        "output:q",
        "log:q",
        "threads",
    }


def test_rules_quote_paths_and_take_only_harmless_words() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in RULES}
    assert sum("shell:" in text for text in texts.values()) > 10
    used = {word for text in texts.values() for word in shell_words(text)}
    # Seeds are whole numbers; everything else that is not quoted is a wildcard.
    wildcards = used - {"params.seeds"}
    assert wildcards and all(word.startswith("wildcards.") for word in wildcards), wildcards
    everything = "\n".join(texts.values())
    for word in sorted(wildcards):
        name = word.removeprefix("wildcards.")
        patterns = re.findall(rf"\b{name}=(.+)", everything)
        assert patterns, f"wildcard {name} is not constrained"


def test_wildcards_hold_letters_digits_and_underscores_only() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in RULES)
    blocks = re.findall(r"wildcard_constraints:\n((?: +.+\n)+)", text)
    literal = dict(re.findall(r"(\w+)=\"(.+)\",", "".join(blocks)))
    assert {"world", "kind", "run", "seed"} <= set(literal)
    for name, pattern in literal.items():
        for bad in ("a;b", "$(a)", "a b", 'a"b', "`a`", "a&b", "../a", "a|b", "a>b"):
            assert not re.fullmatch(pattern, bad), (name, pattern, bad)
