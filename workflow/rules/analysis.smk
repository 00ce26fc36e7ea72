"""What figures draw that no metrics file holds."""


rule qualitative:
    input:
        pipeline.figure6_inputs,
    output:
        "results/{scale}/qualitative/figure6.npz",
        "results/{scale}/qualitative/figure6.json",
    log:
        "results/{scale}/logs/qualitative/figure6.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("qualitative", w),
        code=pipeline.code("qualitative"),
    shell:
        "nexusflow qualitative --scale {wildcards.scale} 2>&1 | tee {log:q}"
