"""What trained models hold about validation frames, for the analyses."""


rule features:
    input:
        pipeline.features_inputs,
    output:
        "results/{scale}/features/{suite}/{run}/seed{seed}.npz",
        "results/{scale}/features/{suite}/{run}/seed{seed}.json",
    log:
        "results/{scale}/logs/features/{suite}_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/features/{suite}_{run}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=1,
    params:
        settings=lambda w: pipeline.settings("features", w),
        code=lambda w: pipeline.code("features", w.suite),
    shell:
        "nexusflow features --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"
