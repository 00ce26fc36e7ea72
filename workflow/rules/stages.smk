"""The coarse stages that dvc.yaml calls, at the default scale."""

here = published.scale_name


rule stage_data:
    input:
        pipeline.cache_files(here, "nuscenes", "street"),


rule stage_rooms:
    input:
        pipeline.cache_files(here, "nyuv2", "rooms"),


rule stage_partition:
    input:
        [pipeline.stage_partitions(suite) for suite in ("nuscenes", "nyuv2")],


rule stage_pretrain:
    input:
        pipeline.stage_files("pretrain"),


rule stage_finetune:
    input:
        pipeline.stage_files("finetune"),


rule stage_ablations:
    input:
        pipeline.stage_files("ablations"),


rule stage_analysis:
    input:
        [pipeline.stage_metrics(suite) for suite in ("nuscenes", "nyuv2")],
        expand(
            f"results/{here}/qualitative/{{name}}.npz",
            name=["figure6", "figure7", "video"],
        ),
        f"results/{here}/cost/nyuv2.json",
        pipeline.stage_analyses(),
        pipeline.outline_files(here),


rule stage_paper:
    input:
        expand("results/{name}", name=[*pipeline.targets, *closing.names]),


rule stage_paper_of_scale:
    # The same without publishing it, for a pipeline beside that of the published scale.
    input:
        expand(f"results/{here}/{{name}}", name=[*pipeline.targets, *closing.names]),


rule snapshot:
    # On request only: a dated copy of the default scale's tables and figures for the README.
    input:
        expand("results/{name}", name=pipeline.targets),
    output:
        "docs/results/README.md",
    log:
        f"results/{here}/logs/snapshot.log",
    conda:
        "../../environment.yml"
    shell:
        "nexusflow snapshot 2>&1 | tee {log:q}"
