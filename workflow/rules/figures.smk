"""Figures of the paper, and further ones."""


rule collapse:
    input:
        lambda w: pipeline.log_inputs("collapse", w.scale),
    output:
        report(
            "results/{scale}/collapse.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"name": "collapse", "scale": "{scale}"},
        ),
        "results/{scale}/collapse.pdf",
    log:
        "results/{scale}/logs/paper/collapse.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("collapse", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("collapse"),
    shell:
        "nexusflow figure collapse --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule curves:
    input:
        lambda w: pipeline.log_inputs(w.curves, w.scale),
    output:
        report(
            "results/{scale}/{curves}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"name": "{curves}", "scale": "{scale}"},
        ),
        "results/{scale}/{curves}.pdf",
    log:
        "results/{scale}/logs/paper/{curves}.log",
    wildcard_constraints:
        curves="learning_curves|rivals_nuscenes|rivals_nyuv2",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings(w.curves, w),
        seeds=pipeline.seed_options,
        code=lambda w: pipeline.paper_code(w.curves),
    shell:
        "nexusflow figure {wildcards.curves} --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule figure6:
    input:
        "results/{scale}/qualitative/figure6.npz",
        "results/{scale}/qualitative/figure6.json",
    output:
        report(
            "results/{scale}/figure6.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"name": "figure6", "scale": "{scale}"},
        ),
        "results/{scale}/figure6.pdf",
    log:
        "results/{scale}/logs/paper/figure6.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("figure6", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("figure6"),
    shell:
        "nexusflow figure figure6 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule figure7:
    input:
        "results/{scale}/qualitative/figure7.npz",
        "results/{scale}/qualitative/figure7.json",
    output:
        report(
            "results/{scale}/figure7.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"name": "figure7", "scale": "{scale}"},
        ),
        "results/{scale}/figure7.pdf",
    log:
        "results/{scale}/logs/paper/figure7.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("figure7", w),
        seeds=pipeline.seed_options,
        code=pipeline.paper_code("figure7"),
    shell:
        "nexusflow figure figure7 --scale {wildcards.scale}"
        " {params.seeds} 2>&1 | tee {log:q}"


rule analysis_figure:
    input:
        lambda w: pipeline.analysis_files(w.figure, w.scale),
    output:
        "results/{scale}/{figure}.png",
        "results/{scale}/{figure}.pdf",
    log:
        "results/{scale}/logs/paper/{figure}.log",
    wildcard_constraints:
        figure="figure3|figure3_v1|figure4|figure5",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings(w.figure, w),
        code=lambda w: pipeline.paper_code(w.figure),
    shell:
        "nexusflow figure {wildcards.figure} --scale {wildcards.scale}"
        " 2>&1 | tee {log:q}"


rule lemma:
    input:
        lambda w: pipeline.analysis_files("lemma", w.scale),
    output:
        "results/{scale}/lemma.csv",
        "results/{scale}/lemma.md",
        "results/{scale}/lemma.png",
        "results/{scale}/lemma.pdf",
    log:
        "results/{scale}/logs/paper/lemma.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("lemma", w),
        code=pipeline.paper_code("lemma"),
    shell:
        "nexusflow table lemma --scale {wildcards.scale} 2>&1 | tee {log:q}"
