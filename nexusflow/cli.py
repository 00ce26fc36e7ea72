"""`nexusflow <verb>`: every rule's shell line is one such call, and people may type them too.

Imports of a verb happen inside it, so that `--help` and the planning of the workflow stay fast.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from nexusflow.core.errors import UserError

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Trains, scores and compares NexusFlow and its rivals. People usually type "
    "`snakemake --cores all results/table2.csv`, which calls these verbs in order.",
)

Scale = Annotated[
    str | None, typer.Option(help="scale: a file of config/scales (default: the one of config.yaml)")
]
Suite = Annotated[str, typer.Option(help="suite of config/experiments.yaml")]
Run = Annotated[str, typer.Option(help="row of config/experiments.yaml")]
Seed = Annotated[int, typer.Option(min=0, help="seed of weights, noise and the order of clips")]
World = Annotated[
    str | None, typer.Option(help="a key of the scale's `worlds` (default: `street`, or `rooms` on nyuv2)")
]
Kind = Annotated[
    str,
    typer.Option(
        help="nuscenes: full, s_geo, r_geo, random; nyuv2: full, clusters_sdn and its five permutations, "
        "onelabel, randomlabels"
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="processes")]
Seeds = Annotated[list[int] | None, typer.Option(help="training seeds (default: those of config.yaml)")]
Folder = Path(os.environ.get("NEXUSFLOW_CONFIG", "config"))


def _load(scale: str | None):
    from nexusflow.config.layout import Layout
    from nexusflow.config.load import load_configuration

    configuration = load_configuration(Folder, scale)
    return configuration, Layout(configuration.scale_name)


def _claim_devices(count: int = 1) -> None:
    """Take GPUs for this process and what it starts, before anything touches CUDA."""
    from nexusflow.core.devices import claim_devices

    devices = claim_devices(count)
    if devices:
        print(f"device{'s' * (count > 1)} {', '.join(devices)}", file=sys.stderr)


def _bound(scale: str | None, suite: str, world: str | None = None):
    from nexusflow.config.bindings.registry import binding_of

    configuration, layout = _load(scale)
    binding = binding_of(suite)
    return binding, configuration, layout, world or configuration.suite(suite).default_world


@app.command()
def data(scale: Scale = None, suite: Suite = "nuscenes", world: World = None, workers: Workers = 2) -> None:
    """Generate an embedded world in the data set's own format, or fetch the recorded data set."""
    binding, configuration, layout, name = _bound(scale, suite, world)
    binding.make_data(configuration, layout, name, workers)


@app.command()
def fetch(
    dataset: Annotated[str, typer.Argument(help="nuscenes")],
    version: Annotated[str, typer.Option(help="v1.0-mini or v1.0-trainval")] = "v1.0-mini",
    archives: Annotated[
        Path | None, typer.Option(help="folder of the archives (default: the one in the scale's file)")
    ] = None,
) -> None:
    """Check and extract the archives of a recorded data set; fetch them, with a token in NUSCENES_TOKEN."""
    from nexusflow.config.fetch import fetch_from_configuration

    root = fetch_from_configuration(Folder, dataset, version, archives)
    print(f"{dataset} {version} is complete: {root / 'manifest.json'}")


@app.command()
def cache(scale: Scale = None, suite: Suite = "nuscenes", world: World = None, workers: Workers = 2) -> None:
    """Decode images and labels once, into memory-mapped files."""
    binding, configuration, layout, name = _bound(scale, suite, world)
    binding.make_cache(configuration, layout, name, workers)


@app.command()
def partition(kind: Kind, scale: Scale = None, suite: Suite = "nuscenes", world: World = None) -> None:
    """Write the table that says which labels each scene or image shows."""
    binding, configuration, layout, name = _bound(scale, suite, world)
    binding.make_partition(configuration, layout, name, kind)


@app.command("partition-report")
def partition_report(kind: Kind, scale: Scale = None, world: World = None) -> None:
    """Measure the gap between the clusters of an NYUv2 partition against a random split."""
    from nexusflow.config.measure import report_partition

    configuration, layout = _load(scale)
    report_partition(configuration, layout, world or configuration.nyuv2.default_world, kind)


@app.command()
def train(run: Run, seed: Seed = 0, scale: Scale = None, suite: Suite = "nuscenes") -> None:
    """Train one run with one seed, on as many devices as its budget names; an interrupted run goes on."""
    from nexusflow.config.assemble import train_from_configuration
    from nexusflow.training.joining import ranks_to_start, started_by
    from nexusflow.training.launch import die_with_launcher, launch

    configuration, layout = _load(scale)
    ranks = ranks_to_start(configuration.resolve(suite, run).training, os.environ)
    if ranks:
        _claim_devices(ranks)
        command = [sys.executable, "-m", "nexusflow", "train", "--run", run, "--seed", str(seed)]
        launch([*command, "--suite", suite, "--scale", configuration.scale_name], ranks)
        return
    die_with_launcher(os.environ)
    if started_by(os.environ) is None:
        _claim_devices()
    train_from_configuration(configuration, layout, suite, run, seed)


@app.command()
def predict(run: Run, seed: Seed = 0, scale: Scale = None, suite: Suite = "nuscenes") -> None:
    """Write what a trained model says about the validation split, in the field's own formats."""
    from nexusflow.config.assemble import predict_from_configuration

    _claim_devices()
    configuration, layout = _load(scale)
    predict_from_configuration(configuration, layout, suite, run, seed)


@app.command()
def features(run: Run, seed: Seed = 0, scale: Scale = None, suite: Suite = "nuscenes") -> None:
    """Extract what a trained model holds about validation frames: branches, embeddings and latents."""
    from nexusflow.config.features import features_from_configuration

    _claim_devices()
    configuration, layout = _load(scale)
    features_from_configuration(configuration, layout, suite, run, seed)


@app.command()
def reference(scale: Scale = None, suite: Suite = "nuscenes") -> None:
    """Write the predictions of the trivial reference: what can be said without looking."""
    binding, configuration, layout, _ = _bound(scale, suite)
    binding.predict_reference(configuration, layout)


@app.command()
def evaluate(
    run: Run, seed: Seed = 0, scale: Scale = None, suite: Suite = "nuscenes", workers: Workers = 1
) -> None:
    """Score a run's prediction files against all labels of the validation split; no model is loaded."""
    from nexusflow.config.assemble import evaluate_from_configuration

    configuration, layout = _load(scale)
    evaluate_from_configuration(configuration, layout, suite, run, seed, workers)


@app.command()
def cost(scale: Scale = None, suite: Suite = "nyuv2") -> None:
    """Measure time and memory of a training step of every method of Table 5, in turns."""
    from nexusflow.config.measure import cost_from_configuration

    _claim_devices()
    configuration, layout = _load(scale)
    cost_from_configuration(configuration, layout, suite)


@app.command()
def outline(scale: Scale = None, suite: Suite = "nuscenes") -> None:
    """Build a suite's model untrained and write what it is made of: parts, shapes, numbers of parameters."""
    from nexusflow.config.outline import outline_from_configuration

    configuration, layout = _load(scale)
    outline_from_configuration(configuration, layout, suite)


@app.command()
def qualitative(
    figure: Annotated[str, typer.Argument(help="figure6, figure7 or video")], scale: Scale = None
) -> None:
    """Collect what a qualitative figure or the video draws from the predictions of its runs."""
    from nexusflow.config.assemble import qualitative_from_configuration

    configuration, layout = _load(scale)
    qualitative_from_configuration(configuration, layout, figure)


@app.command()
def analyse(
    kind: Annotated[str, typer.Argument(help="mmd, embedding, spectrum or lemma")],
    run: Run,
    seed: Seed = 0,
    scale: Scale = None,
    suite: Suite = "nuscenes",
) -> None:
    """Analyse the features of a run: distances between tasks, pictures, spectra, Lemma 1."""
    from nexusflow.config.analyses import analyse_from_configuration

    configuration, layout = _load(scale)
    analyse_from_configuration(configuration, layout, kind, suite, run, seed)


@app.command()
def table(
    name: Annotated[
        str,
        typer.Argument(
            help="table1 to table5, tableA1, tableA2, tableB1, tableB2, comparison, alignment_options, "
            "alignment_settings, compute_matched, weights_nuscenes, weights_nyuv2, gap_sweep or lemma"
        ),
    ],
    scale: Scale = None,
    seeds: Seeds = None,
) -> None:
    """Write a table from metrics files."""
    from nexusflow.config.publish import write_table

    configuration, layout = _load(scale)
    write_table(configuration, layout, name, list(seeds or configuration.main.seeds))


@app.command()
def claims(
    scale: Scale = None,
    seeds: Seeds = None,
) -> None:
    """Judge every claim of the paper by the result files that are there."""
    from nexusflow.config.publish import write_ledger

    configuration, layout = _load(scale)
    write_ledger(configuration, layout, list(seeds or configuration.main.seeds))


@app.command()
def figure(
    name: Annotated[
        str,
        typer.Argument(
            help="figure2, figure3, figure3_v1, figure4 to figure7, video, collapse, learning_curves, "
            "rivals_nuscenes or rivals_nyuv2"
        ),
    ],
    scale: Scale = None,
    seeds: Seeds = None,
) -> None:
    """Draw a figure from result files."""
    from nexusflow.config.publish import draw_figure

    configuration, layout = _load(scale)
    draw_figure(configuration, layout, name, list(seeds or configuration.main.seeds))


@app.command()
def plan(
    scale: Scale = None,
    output: Annotated[
        list[str] | None, typer.Option(help="table or figure (default: all but those made on request)")
    ] = None,
    seeds: Seeds = None,
    csv: Annotated[Path | None, typer.Option(help="also write the runs to this file")] = None,
) -> None:
    """Say what a scale costs before it is run: hours, memory and disk of every run, from measurements."""
    from nexusflow.config.plan import plan_data, plan_runs
    from nexusflow.config.plan_table import print_plan, write_plan

    configuration, layout = _load(scale)
    runs = plan_runs(configuration, layout, output or [], list(seeds or configuration.main.seeds))
    print_plan(runs, plan_data(configuration), f"Scale {configuration.scale_name}")
    if csv is not None:
        write_plan(runs, csv)


@app.command()
def report(
    scale: Scale = None,
    seeds: Seeds = None,
) -> None:
    """Write report.html, one page with every table, figure, claim and run that is there."""
    from nexusflow.config.report import write_report_page

    configuration, layout = _load(scale)
    write_report_page(configuration, layout, list(seeds or configuration.main.seeds))


@app.command()
def snapshot(
    scale: Scale = None,
    into: Annotated[
        Path, typer.Option(help="folder; one of its own where runs of one suite are at hand only")
    ] = Path("docs/results"),
) -> None:
    """Copy the tables and figures of a scale to docs/results, with the provenance of their runs."""
    from nexusflow.paper.snapshot import write_snapshot

    _, layout = _load(scale)
    provenance = sorted((layout.base / "runs").glob("*/*/seed*/provenance.json"))
    write_snapshot(layout.base, provenance, into)


@app.command()
def seal(scale: Scale = None) -> None:
    """Keep Snakemake's records with the results, so that `restore` can tell what they were made with."""
    from nexusflow.config.records import seal_results

    _, layout = _load(scale)
    print(f"{seal_results(Path(), layout.scale)} files recorded in {layout.base / 'records.json'}")


@app.command()
def restore(
    scale: Scale = None,
    remote: Annotated[str | None, typer.Option(help="DVC remote (default: DVC's own default)")] = None,
    pull: Annotated[bool, typer.Option(help="fetch with `dvc pull` first")] = True,
) -> None:
    """Fetch results made elsewhere, check them, and give Snakemake the records of how they were made."""
    from nexusflow.config.records import pull_results, restore_results

    _, layout = _load(scale)
    if pull:
        pull_results(Path(), layout.scale, remote)
    print(f"{restore_results(Path(), layout.scale)} files restored; `snakemake -n` says what is out of date")


@app.command()
def doctor(
    scale: Annotated[
        str | None, typer.Option(help="scale (default: every scale of which there are results)")
    ] = None,
) -> None:
    """Check environment, data, results and what a kill left behind; exit code 1 if something must be done."""
    from nexusflow.config.doctor.examine import examine
    from nexusflow.config.doctor.findings import must_act, show

    findings = examine(Folder, scale)
    show(findings)
    if must_act(findings):
        raise SystemExit(1)


def _say_interrupted() -> None:
    """Say how to go on, unless Ctrl-C has ended the reader of our output, such as `tee`, as well."""
    try:
        print("interrupted; the same command goes on where this one stopped", file=sys.stderr, flush=True)
    except BrokenPipeError:
        # What is still buffered would be written once more at exit, and change the exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.dup2(nowhere, sys.stderr.fileno())


def main() -> None:
    """Run the command line; a mistake ends with a sentence and code 1, Ctrl-C with 130, SIGTERM with 143."""
    try:
        app(standalone_mode=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except typer.Exit as stop:
        raise SystemExit(stop.exit_code) from None
    except (KeyboardInterrupt, typer.Abort) as stop:
        _say_interrupted()
        raise SystemExit(128 + getattr(stop, "signum", signal.SIGINT)) from None
    except Exception as error:
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        raise SystemExit(getattr(error, "exit_code", 2)) from None


if __name__ == "__main__":
    main()
