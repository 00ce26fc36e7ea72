"""Tables and figures of the paper, and their publication for the default scale."""


rule table2:
    input:
        lambda w: pipeline.paper_inputs("table2", w.scale),
        "nexusflow/paper/published.yaml",
    output:
        "results/{scale}/table2.csv",
        "results/{scale}/table2.md",
    log:
        "results/{scale}/logs/paper/table2.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("table2", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("table2"),
    shell:
        "nexusflow table table2 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule alignment_options:
    input:
        lambda w: pipeline.paper_inputs("alignment_options", w.scale),
    output:
        "results/{scale}/alignment_options.csv",
        "results/{scale}/alignment_options.md",
    log:
        "results/{scale}/logs/paper/alignment_options.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("alignment_options", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("alignment_options"),
    shell:
        "nexusflow table alignment_options --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule comparison:
    input:
        lambda w: pipeline.paper_inputs("comparison", w.scale),
    output:
        "results/{scale}/comparison.csv",
        "results/{scale}/comparison.md",
        "results/{scale}/comparison.png",
        "results/{scale}/comparison.pdf",
    log:
        "results/{scale}/logs/paper/comparison.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("comparison", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("comparison"),
    shell:
        "nexusflow table comparison --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule gap_sweep:
    input:
        lambda w: pipeline.paper_inputs("gap_sweep", w.scale),
    output:
        "results/{scale}/gap_sweep.csv",
        "results/{scale}/gap_sweep.png",
        "results/{scale}/gap_sweep.pdf",
    log:
        "results/{scale}/logs/paper/gap_sweep.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("gap_sweep", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("gap_sweep"),
    shell:
        "nexusflow table gap_sweep --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule collapse:
    input:
        lambda w: pipeline.paper_inputs("collapse", w.scale),
    output:
        "results/{scale}/collapse.png",
        "results/{scale}/collapse.pdf",
    log:
        "results/{scale}/logs/paper/collapse.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("collapse", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("collapse"),
    shell:
        "nexusflow figure collapse --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule learning_curves:
    input:
        lambda w: pipeline.paper_inputs("learning_curves", w.scale),
    output:
        "results/{scale}/learning_curves.png",
        "results/{scale}/learning_curves.pdf",
    log:
        "results/{scale}/logs/paper/learning_curves.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("learning_curves", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("learning_curves"),
    shell:
        "nexusflow figure learning_curves --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule figure6:
    input:
        "results/{scale}/qualitative/figure6.npz",
        "results/{scale}/qualitative/figure6.json",
    output:
        "results/{scale}/figure6.png",
        "results/{scale}/figure6.pdf",
    log:
        "results/{scale}/logs/paper/figure6.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("figure6", w),
        seeds=pipeline.seed_options,
        code=pipeline.code("figure6"),
    shell:
        "nexusflow figure figure6 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule publish:
    input:
        f"results/{published.scale_name}/{{name}}",
    output:
        "results/{name}",
    log:
        f"results/{published.scale_name}/logs/publish/{{name}}.log",
    wildcard_constraints:
        name="[a-zA-Z0-9_]+\\.(csv|md|png|pdf)",
    conda:
        "../../environment.yml"
    shell:
        "cp {input:q} {output:q} 2>&1 | tee {log:q}"
