"""The whole pipeline; `snakemake --cores all results/table2.csv` makes Table 2 of the default scale."""

from pathlib import Path

from snakemake.utils import min_version

from nexusflow.config.closing import Closing
from nexusflow.config.locks import release_stale_locks
from nexusflow.config.workflow import Pipeline

min_version("9.0")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


# After a kill the same command goes on; nobody has to unlock anything.
release_stale_locks()
pipeline = Pipeline(config, Path("config"))
published = pipeline.main
closing = Closing(pipeline)


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/partition.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/analysis.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/pictures.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/stages.smk"


rule all:
    default_target: True
    input:
        expand("results/{name}", name=[*pipeline.targets, *closing.names]),


wildcard_constraints:
    scale=pipeline.scale_pattern,
    suite=pipeline.suite_pattern,
    world="[a-z][a-z0-9_]*",
    kind="[a-z][a-z_]*",
    run="[a-z][a-z0-9_]*",
    seed="[0-9]+",
