"""Which labels each training scene or image shows."""


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
        code=lambda w: pipeline.code("partition", w.suite),
    shell:
        "nexusflow partition --scale {wildcards.scale} --suite {wildcards.suite}"
        " --world {wildcards.world} --kind {wildcards.kind} 2>&1 | tee {log:q}"


rule partition_report:
    # How far the clusters lie apart, against a random split.
    input:
        "results/{scale}/cache/nyuv2/{world}/index.json",
        "results/{scale}/partitions/nyuv2/{world}/{kind}.csv",
    output:
        "results/{scale}/partitions/nyuv2/{world}/{kind}.gap.json",
    log:
        "results/{scale}/logs/partition/nyuv2_{world}_{kind}_gap.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.settings("partition_report", w, suite="nyuv2"),
        code=pipeline.code("partition_report", "nyuv2"),
    shell:
        "nexusflow partition-report --scale {wildcards.scale}"
        " --world {wildcards.world} --kind {wildcards.kind} 2>&1 | tee {log:q}"
