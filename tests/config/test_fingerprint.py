"""Code fingerprints: what a verb runs decides, comments and docstrings do not."""

from nexusflow.config.fingerprint import VERB_MODULES, _import_graph, code_fingerprint, module_fingerprint

SOURCE = '"""One."""\n\n\ndef area(side):\n    """Square."""\n    return side * side  # plain\n'


def test_comments_docstrings_and_layout_do_not_count() -> None:
    other = '"""Two."""\ndef area(side):\n\n    """Cube."""\n    return (side * side)\n'
    assert module_fingerprint(SOURCE) == module_fingerprint(other)
    assert module_fingerprint(SOURCE) != module_fingerprint(SOURCE.replace("side * side", "side + side"))


def test_every_verb_has_a_fingerprint() -> None:
    prints = {verb: code_fingerprint(verb) for verb in VERB_MODULES}
    assert len(set(prints.values())) >= len(prints) - 1  # two tables share their writer


def test_plots_do_not_retrain_and_losses_do() -> None:
    upstream = _import_graph().find_upstream_modules("nexusflow.training.run")
    assert "nexusflow.alignment.losses" in upstream
    assert not {
        module for module in upstream if module.startswith(("nexusflow.paper", "nexusflow.evaluation"))
    }
