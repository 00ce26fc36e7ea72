"""Tables of the paper, and further ones."""


rule table:
    input:
        lambda w: pipeline.paper_inputs(w.table, w.scale),
        "nexusflow/paper/published.yaml",
    output:
        report(
            "results/{scale}/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"name": "{table}", "scale": "{scale}"},
        ),
        "results/{scale}/{table}.md",
    log:
        "results/{scale}/logs/paper/{table}.log",
    wildcard_constraints:
        table="table[234]|tableA[12]|alignment_(options|settings)|compute_matched|matching"
        "|(weights|taps)_(nuscenes|nyuv2)|normalisation_nyuv2",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings(w.table, w),
        seeds=pipeline.seed_options,
        code=lambda w: pipeline.paper_code(w.table),
    shell:
        "nexusflow table {wildcards.table} --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule plotted_table:
    input:
        lambda w: pipeline.paper_inputs(w.table, w.scale),
        "nexusflow/paper/published.yaml",
    output:
        report(
            "results/{scale}/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"name": "{table}", "scale": "{scale}"},
        ),
        "results/{scale}/{table}.md",
        report(
            "results/{scale}/{table}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"name": "{table}", "scale": "{scale}"},
        ),
        "results/{scale}/{table}.pdf",
    log:
        "results/{scale}/logs/paper/{table}.log",
    wildcard_constraints:
        table="tableB1|tableB2|comparison",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings(w.table, w),
        seeds=pipeline.seed_options,
        code=lambda w: pipeline.paper_code(w.table),
    shell:
        "nexusflow table {wildcards.table} --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule table5:
    input:
        lambda w: pipeline.paper_inputs("table5", w.scale),
        "results/{scale}/cost/nyuv2.json",
        "nexusflow/paper/published.yaml",
    output:
        report(
            "results/{scale}/table5.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"name": "table5", "scale": "{scale}"},
        ),
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


rule table1:
    input:
        lambda w: pipeline.analysis_files("table1", w.scale),
        "nexusflow/paper/published.yaml",
    output:
        report(
            "results/{scale}/table1.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"name": "table1", "scale": "{scale}"},
        ),
        "results/{scale}/table1.md",
    log:
        "results/{scale}/logs/paper/table1.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("table1", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("table1"),
    shell:
        "nexusflow table table1 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule gap_sweep:
    input:
        lambda w: pipeline.paper_inputs("gap_sweep", w.scale),
        "nexusflow/paper/published.yaml",
    output:
        report(
            "results/{scale}/gap_sweep.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"name": "gap_sweep", "scale": "{scale}"},
        ),
        report(
            "results/{scale}/gap_sweep.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"name": "gap_sweep", "scale": "{scale}"},
        ),
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
