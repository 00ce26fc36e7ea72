"""Code fingerprints: what a verb runs decides, comments and docstrings do not."""

from nexusflow.config.bindings.registry import BINDINGS
from nexusflow.config.fingerprint import (
    ANALYSIS_MODULES,
    PAPER_MODULES,
    QUALITATIVE_MODULES,
    _import_graph,
    code_fingerprint,
    module_fingerprint,
)
from nexusflow.config.outputs import FIGURES, TABLES, VIDEOS
from nexusflow.methods.combined_config import CombinedConfig
from nexusflow.methods.config import SupervisedConfig
from nexusflow.methods.jtr_config import JTRConfig
from nexusflow.methods.matching_config import MatchingConfig
from nexusflow.methods.mtpsl_config import MTPSLConfig
from nexusflow.methods.nexusflow_config import NexusFlowConfig
from nexusflow.methods.section import MethodSection

SOURCE = '"""One."""\n\n\ndef area(side):\n    """Square."""\n    return side * side  # plain\n'


def test_comments_docstrings_and_layout_do_not_count() -> None:
    other = '"""Two."""\ndef area(side):\n\n    """Cube."""\n    return (side * side)\n'
    assert module_fingerprint(SOURCE) == module_fingerprint(other)
    assert module_fingerprint(SOURCE) != module_fingerprint(SOURCE.replace("side * side", "side + side"))


def test_every_verb_has_a_fingerprint_of_its_own_in_every_suite() -> None:
    prints = [code_fingerprint(modules) for suite in BINDINGS.values() for modules in suite.modules.values()]
    assert len(set(prints)) == len(prints)


def test_every_table_and_figure_has_a_fingerprint() -> None:
    assert set(PAPER_MODULES) == set(TABLES) | set(FIGURES) | set(VIDEOS)
    assert all(
        code_fingerprint(entries) for entries in (*PAPER_MODULES.values(), *QUALITATIVE_MODULES.values())
    )


def test_a_suite_does_not_depend_on_the_other() -> None:
    graph = _import_graph()
    street = graph.find_upstream_modules("nexusflow.suites.nuscenes.suite")
    rooms = graph.find_upstream_modules("nexusflow.suites.nyuv2.suite")
    assert not {module for module in street if module.startswith(("nexusflow.dense", "nexusflow.data.nyuv2"))}
    assert not {module for module in rooms if module.startswith(("nexusflow.bev", "nexusflow.data.nuscenes"))}


def _upstream_of_training(method: MethodSection, suite: str = "nyuv2") -> set[str]:
    modules = BINDINGS[suite].training_modules(method)
    return set(modules).union(*(_import_graph().find_upstream_modules(module) for module in modules))


def test_plots_do_not_retrain_and_losses_do() -> None:
    upstream = _upstream_of_training(NexusFlowConfig(), "nuscenes")
    assert {"nexusflow.alignment.losses", "nexusflow.bev.tracking.losses"} <= upstream
    assert not {
        module for module in upstream if module.startswith(("nexusflow.paper", "nexusflow.evaluation"))
    }


def test_a_run_depends_on_its_own_method_only() -> None:
    own = {
        "supervised": ("nexusflow.methods.supervised", SupervisedConfig()),
        "nexusflow": ("nexusflow.alignment.coupling", NexusFlowConfig()),
        "mtpsl": ("nexusflow.methods.pair_network", MTPSLConfig()),
        "jtr": ("nexusflow.methods.joint_network", JTRConfig()),
        "matching": ("nexusflow.methods.matching_losses", MatchingConfig(moments_weight=1.0)),
    }
    for name, (module, section) in own.items():
        upstream = _upstream_of_training(section)
        assert module in upstream
        assert not {other for key, (other, _) in own.items() if key != name} & upstream
        assert ("nexusflow.suites.nyuv2.canvases" in upstream) == section.needs_canvases


def _upstream(modules: tuple[str, ...]) -> set[str]:
    return set(modules).union(*(_import_graph().find_upstream_modules(module) for module in modules))


def test_editing_a_figure_of_features_repeats_no_analysis_and_no_other_figure() -> None:
    drawn = {"figure3": "pictures", "figure5": "scree", "lemma": "lemma_figure"}
    modules = {f"nexusflow.paper.{name}" for name in drawn.values()}
    for output, own in drawn.items():
        assert _upstream(PAPER_MODULES[output]) & modules == {f"nexusflow.paper.{own}"}
    for entries in ANALYSIS_MODULES.values():
        assert not _upstream(entries) & (modules | {"nexusflow.paper.analysis_files"})
    assert "nexusflow.analysis.lemma" in _upstream(ANALYSIS_MODULES["lemma"])


def test_a_run_of_several_methods_depends_on_all_of_them() -> None:
    matching = MatchingConfig(mmd_weight=1.0)
    upstream = _upstream_of_training(CombinedConfig(parts=(NexusFlowConfig(), matching)))
    assert {"nexusflow.alignment.coupling", "nexusflow.methods.matching_losses"} < upstream
    assert "nexusflow.methods.combined" in upstream
    assert (
        not {"nexusflow.methods.jtr", "nexusflow.methods.mtpsl", "nexusflow.suites.nyuv2.canvases"} & upstream
    )
    assert "nexusflow.methods.combined" not in _upstream_of_training(matching)
