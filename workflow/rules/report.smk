"""The report, one page; it shows what is there and never asks for training.

Asked for by name, its inputs are absolute paths, which no rule makes: a table whose runs are out of date is shown
as it is. Asked for with everything else, it waits for everything else.
"""


rule report_page:
    input:
        lambda w: closing.report_inputs(w.scale, asked_for_all()),
        closing.report_templates,
        "nexusflow/paper/published.yaml",
        "nexusflow/paper/claims.yaml",
    output:
        "results/{scale}/report.html",
    log:
        "results/{scale}/logs/paper/report.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: closing.report_settings(w.scale),
        seeds=pipeline.seed_options,
        code=closing.report_code(),
    shell:
        "nexusflow report --scale {wildcards.scale} {params.seeds} 2>&1 | tee {log:q}"
