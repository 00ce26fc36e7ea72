"""Prediction and scoring, kept apart: scoring reads files only and knows no model."""


rule predict:
    input:
        pipeline.training_inputs,
        "results/{scale}/checkpoints/{suite}/{run}/seed{seed}/model.safetensors",
        "results/{scale}/checkpoints/{suite}/{run}/seed{seed}/provenance.json",
    output:
        expand(
            "results/{{scale}}/runs/{{suite}}/{{run}}/seed{{seed}}/predictions/{name}",
            name=["tracking.json", "map.npz", "tracker.json"],
        ),
        "results/{scale}/runs/{suite}/{run}/seed{seed}/provenance.json",
    log:
        "results/{scale}/logs/predict/{suite}_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/predict/{suite}_{run}_seed{seed}.tsv"
    priority: 5
    conda:
        "../../environment.yml"
    threads: 1
    params:
        settings=lambda w: pipeline.settings("predict", w),
        code=pipeline.code("predict"),
    shell:
        "nexusflow predict --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"


rule trivial_reference:
    input:
        pipeline.cache_files("{scale}", "nuscenes", "street"),
    output:
        expand(
            "results/{{scale}}/runs/nuscenes/trivial/seed0/predictions/{name}",
            name=["tracking.json", "map.npz"],
        ),
    log:
        "results/{scale}/logs/reference/nuscenes.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("reference", w),
        code=pipeline.code("reference"),
    shell:
        "nexusflow reference --scale {wildcards.scale} 2>&1 | tee {log:q}"


rule evaluate:
    input:
        pipeline.evaluation_inputs,
        "results/{scale}/runs/{suite}/{run}/seed{seed}/predictions/tracking.json",
        "results/{scale}/runs/{suite}/{run}/seed{seed}/predictions/map.npz",
    output:
        "results/{scale}/runs/{suite}/{run}/seed{seed}/metrics.json",
    log:
        "results/{scale}/logs/evaluate/{suite}_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/evaluate/{suite}_{run}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        settings=lambda w: pipeline.settings("evaluate", w),
        code=pipeline.code("evaluate"),
    shell:
        "nexusflow evaluate --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} --workers {threads} 2>&1 | tee {log:q}"
