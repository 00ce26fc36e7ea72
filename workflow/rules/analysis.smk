"""What figures draw that no metrics file holds."""


rule qualitative:
    input:
        lambda w: pipeline.qualitative_inputs(w.figure, w),
    output:
        "results/{scale}/qualitative/{figure}.npz",
        "results/{scale}/qualitative/{figure}.json",
    log:
        "results/{scale}/logs/qualitative/{figure}.log",
    wildcard_constraints:
        figure="figure[67]",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings(w.figure, w),
        code=lambda w: pipeline.qualitative_code(w.figure),
    shell:
        "nexusflow qualitative {wildcards.figure} --scale {wildcards.scale} 2>&1 | tee {log:q}"
