"""Which labels each training scene shows."""


rule partition:
    input:
        "results/{scale}/cache/{suite}/{world}/index.json",
    output:
        "results/{scale}/partitions/{suite}/{world}/{kind}.csv",
        "results/{scale}/partitions/{suite}/{world}/{kind}.csv.sha256",
    log:
        "results/{scale}/logs/partition/{suite}_{world}_{kind}.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("partition", w),
        code=pipeline.code("partition"),
    shell:
        "nexusflow partition --scale {wildcards.scale} --world {wildcards.world}"
        " --kind {wildcards.kind} 2>&1 | tee {log:q}"
