"""Scoring, which reads files only and knows no model, and the cost of training."""


rule evaluate:
    input:
        pipeline.evaluation_inputs,
    output:
        "results/{scale}/runs/{suite}/{run}/seed{seed}/metrics.json",
        "results/{scale}/runs/{suite}/{run}/seed{seed}/resampled.json",
    log:
        "results/{scale}/logs/evaluate/{suite}_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/evaluate/{suite}_{run}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    params:
        settings=lambda w: pipeline.settings("evaluate", w),
        code=lambda w: pipeline.code("evaluate", w.suite),
    shell:
        "nexusflow evaluate --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} --workers {threads} 2>&1 | tee {log:q}"


rule cost:
    # All cores, so that nothing else runs while it measures.
    input:
        pipeline.cost_inputs,
    output:
        "results/{scale}/cost/nyuv2.json",
    log:
        "results/{scale}/logs/cost/nyuv2.log",
    conda:
        "../../environment.yml"
    threads: workflow.cores
    resources:
        gpu=1,
    params:
        settings=lambda w: pipeline.settings("cost", w, suite="nyuv2"),
        code=lambda w: pipeline.cost_code(w, "nyuv2"),
    shell:
        "nexusflow cost --scale {wildcards.scale} --suite nyuv2 2>&1 | tee {log:q}"
