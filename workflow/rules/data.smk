"""Data sets on disk, and their decoded, memory-mapped form."""


rule data:
    output:
        "results/{scale}/data/{suite}/{world}/manifest.json",
    log:
        "results/{scale}/logs/data/{suite}_{world}.log",
    benchmark:
        "results/{scale}/benchmarks/data/{suite}_{world}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    params:
        settings=lambda w: pipeline.settings("data", w),
        code=lambda w: pipeline.code("data", w.suite),
    shell:
        "nexusflow data --scale {wildcards.scale} --suite {wildcards.suite}"
        " --world {wildcards.world} --workers {threads} 2>&1 | tee {log:q}"


rule nuscenes_cache:
    input:
        "results/{scale}/data/nuscenes/{world}/manifest.json",
    output:
        expand(
            "results/{{scale}}/cache/nuscenes/{{world}}/{name}",
            name=pipeline.cache_names("nuscenes"),
        ),
    log:
        "results/{scale}/logs/cache/nuscenes_{world}.log",
    benchmark:
        "results/{scale}/benchmarks/cache/nuscenes_{world}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    params:
        settings=lambda w: pipeline.settings("cache", w, suite="nuscenes"),
        code=pipeline.code("cache", "nuscenes"),
    shell:
        "nexusflow cache --scale {wildcards.scale} --suite nuscenes"
        " --world {wildcards.world} --workers {threads} 2>&1 | tee {log:q}"


rule nyuv2_cache:
    input:
        "results/{scale}/data/nyuv2/{world}/manifest.json",
    output:
        expand(
            "results/{{scale}}/cache/nyuv2/{{world}}/{name}",
            name=pipeline.cache_names("nyuv2"),
        ),
    log:
        "results/{scale}/logs/cache/nyuv2_{world}.log",
    benchmark:
        "results/{scale}/benchmarks/cache/nyuv2_{world}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    params:
        settings=lambda w: pipeline.settings("cache", w, suite="nyuv2"),
        code=pipeline.code("cache", "nyuv2"),
    shell:
        "nexusflow cache --scale {wildcards.scale} --suite nyuv2"
        " --world {wildcards.world} --workers {threads} 2>&1 | tee {log:q}"
