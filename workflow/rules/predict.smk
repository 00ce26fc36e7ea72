"""Prediction of the validation split, in the fields' own formats."""


rule nuscenes_predict:
    input:
        lambda w: pipeline.training_inputs(w, "nuscenes"),
        "results/{scale}/checkpoints/nuscenes/{run}/seed{seed}/model.safetensors",
        "results/{scale}/checkpoints/nuscenes/{run}/seed{seed}/provenance.json",
    output:
        expand(
            "results/{{scale}}/runs/nuscenes/{{run}}/seed{{seed}}/predictions/{name}",
            name=pipeline.prediction_names("nuscenes"),
        ),
        "results/{scale}/runs/nuscenes/{run}/seed{seed}/provenance.json",
    log:
        "results/{scale}/logs/predict/nuscenes_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/predict/nuscenes_{run}_seed{seed}.tsv"
    wildcard_constraints:
        run="(?!trivial/)[a-z][a-z0-9_]*",
    priority: 5
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
    params:
        settings=lambda w: pipeline.settings("predict", w, suite="nuscenes"),
        code=pipeline.code("predict", "nuscenes"),
    shell:
        "nexusflow predict --scale {wildcards.scale} --suite nuscenes"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"


rule nyuv2_predict:
    input:
        lambda w: pipeline.training_inputs(w, "nyuv2"),
        lambda w: pipeline.weights_inputs(w, "nyuv2"),
    output:
        expand(
            "results/{{scale}}/runs/nyuv2/{{run}}/seed{{seed}}/predictions/{name}",
            name=pipeline.prediction_names("nyuv2"),
        ),
        "results/{scale}/runs/nyuv2/{run}/seed{seed}/provenance.json",
    log:
        "results/{scale}/logs/predict/nyuv2_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/predict/nyuv2_{run}_seed{seed}.tsv"
    wildcard_constraints:
        run="(?!trivial/)[a-z][a-z0-9_]*",
    priority: 5
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
    params:
        settings=lambda w: pipeline.settings("predict", w, suite="nyuv2"),
        code=lambda w: pipeline.prediction_code(w, "nyuv2"),
    shell:
        "nexusflow predict --scale {wildcards.scale} --suite nyuv2"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"


rule nuscenes_reference:
    # What can be said without looking.
    input:
        lambda w: pipeline.default_cache_files(w, "nuscenes"),
    output:
        expand(
            "results/{{scale}}/runs/nuscenes/trivial/seed0/predictions/{name}",
            name=pipeline.scored_names("nuscenes"),
        ),
    log:
        "results/{scale}/logs/reference/nuscenes.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("reference", w, suite="nuscenes"),
        code=pipeline.code("reference", "nuscenes"),
    shell:
        "nexusflow reference --scale {wildcards.scale} --suite nuscenes 2>&1 | tee {log:q}"


rule nyuv2_reference:
    # What can be said without looking.
    input:
        lambda w: pipeline.default_cache_files(w, "nyuv2"),
    output:
        expand(
            "results/{{scale}}/runs/nyuv2/trivial/seed0/predictions/{name}",
            name=pipeline.scored_names("nyuv2"),
        ),
    log:
        "results/{scale}/logs/reference/nyuv2.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("reference", w, suite="nyuv2"),
        code=pipeline.code("reference", "nyuv2"),
    shell:
        "nexusflow reference --scale {wildcards.scale} --suite nyuv2 2>&1 | tee {log:q}"
