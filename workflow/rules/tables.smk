"""Tables of the paper, and further ones."""


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
        settings=lambda w: pipeline.paper_settings("table2", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("table2"),
    shell:
        "nexusflow table table2 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule table4:
    input:
        lambda w: pipeline.paper_inputs("table4", w.scale),
        "nexusflow/paper/published.yaml",
    output:
        "results/{scale}/table4.csv",
        "results/{scale}/table4.md",
    log:
        "results/{scale}/logs/paper/table4.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("table4", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("table4"),
    shell:
        "nexusflow table table4 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule table5:
    input:
        lambda w: pipeline.paper_inputs("table5", w.scale),
        "results/{scale}/cost/nyuv2.json",
        "nexusflow/paper/published.yaml",
    output:
        "results/{scale}/table5.csv",
        "results/{scale}/table5.md",
    log:
        "results/{scale}/logs/paper/table5.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("table5", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("table5"),
    shell:
        "nexusflow table table5 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule tableB1:
    input:
        lambda w: pipeline.paper_inputs("tableB1", w.scale),
        "nexusflow/paper/published.yaml",
    output:
        "results/{scale}/tableB1.csv",
        "results/{scale}/tableB1.md",
        "results/{scale}/tableB1.png",
        "results/{scale}/tableB1.pdf",
    log:
        "results/{scale}/logs/paper/tableB1.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("tableB1", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("tableB1"),
    shell:
        "nexusflow table tableB1 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule tableB2:
    input:
        lambda w: pipeline.paper_inputs("tableB2", w.scale),
        "nexusflow/paper/published.yaml",
    output:
        "results/{scale}/tableB2.csv",
        "results/{scale}/tableB2.md",
        "results/{scale}/tableB2.png",
        "results/{scale}/tableB2.pdf",
    log:
        "results/{scale}/logs/paper/tableB2.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("tableB2", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("tableB2"),
    shell:
        "nexusflow table tableB2 --scale {wildcards.scale}"
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
        settings=lambda w: pipeline.paper_settings("alignment_options", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("alignment_options"),
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
        settings=lambda w: pipeline.paper_settings("comparison", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("comparison"),
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
        settings=lambda w: pipeline.paper_settings("gap_sweep", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("gap_sweep"),
    shell:
        "nexusflow table gap_sweep --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"
