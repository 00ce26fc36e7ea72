"""The ledger of claims; it reads the runs that are there, and is made again when one of them changes.

Asked for with everything else, it waits for the runs behind everything else.
"""


rule claims:
    input:
        lambda w: closing.claim_inputs(w.scale, asked_for_all()),
        "nexusflow/paper/published.yaml",
        "nexusflow/paper/claims.yaml",
    output:
        report(
            "results/{scale}/claims.csv",
            caption="../report/claims.rst",
            category="Claims",
            labels={"name": "claims", "scale": "{scale}"},
        ),
        "results/{scale}/claims_parts.csv",
        "results/{scale}/claims.md",
    log:
        "results/{scale}/logs/paper/claims.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: closing.claim_settings(w.scale),
        seeds=pipeline.seed_options,
        code=closing.claims_code(),
    shell:
        "nexusflow claims --scale {wildcards.scale} {params.seeds} 2>&1 | tee {log:q}"
