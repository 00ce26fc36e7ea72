"""The ledger of claims; it reads the runs that are there, and is made again when one of them changes."""


rule claims:
    input:
        lambda w: pipeline.claim_inputs(w.scale),
        "nexusflow/paper/published.yaml",
        "nexusflow/paper/claims.yaml",
    output:
        "results/{scale}/claims.csv",
        "results/{scale}/claims_parts.csv",
        "results/{scale}/claims.md",
    log:
        "results/{scale}/logs/paper/claims.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.claim_settings(w.scale),
        seeds=pipeline.seed_options,
        code=pipeline.claims_code(),
    shell:
        "nexusflow claims --scale {wildcards.scale} {params.seeds} 2>&1 | tee {log:q}"
