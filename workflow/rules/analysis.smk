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
        figure="figure[67]|video",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings(w.figure, w),
        code=lambda w: pipeline.qualitative_code(w.figure),
    shell:
        "nexusflow qualitative {wildcards.figure} --scale {wildcards.scale} 2>&1 | tee {log:q}"


rule analyse_mmd:
    input:
        pipeline.analysis_inputs,
    output:
        "results/{scale}/analyses/{kind}/{suite}/{run}/seed{seed}.json",
    log:
        "results/{scale}/logs/analyse/{kind}_{suite}_{run}_seed{seed}.log",
    wildcard_constraints:
        kind="mmd",
    conda:
        "../../environment.yml"
    threads: 1
    params:
        settings=pipeline.analysis_settings,
        code=lambda w: pipeline.analysis_code(w.kind),
    shell:
        "nexusflow analyse {wildcards.kind} --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"


rule analyse:
    input:
        pipeline.analysis_inputs,
    output:
        "results/{scale}/analyses/{kind}/{suite}/{run}/seed{seed}.json",
        "results/{scale}/analyses/{kind}/{suite}/{run}/seed{seed}.npz",
    log:
        "results/{scale}/logs/analyse/{kind}_{suite}_{run}_seed{seed}.log",
    wildcard_constraints:
        kind="embedding|spectrum|lemma",
    conda:
        "../../environment.yml"
    threads: 1
    params:
        settings=pipeline.analysis_settings,
        code=lambda w: pipeline.analysis_code(w.kind),
    shell:
        "nexusflow analyse {wildcards.kind} --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"
