"""Data sets on disk, and their decoded, memory-mapped form."""


rule street_world:
    output:
        "results/{scale}/data/nuscenes/{world}/manifest.json",
    log:
        "results/{scale}/logs/data/nuscenes_{world}.log",
    benchmark:
        "results/{scale}/benchmarks/data/nuscenes_{world}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    params:
        settings=lambda w: pipeline.settings("data", w),
        code=pipeline.code("data"),
    shell:
        "nexusflow data --scale {wildcards.scale} --world {wildcards.world}"
        " --workers {threads} 2>&1 | tee {log:q}"


rule nuscenes_cache:
    input:
        "results/{scale}/data/nuscenes/{world}/manifest.json",
    output:
        expand(
            "results/{{scale}}/cache/nuscenes/{{world}}/{name}",
            name=["images.npy", "map.npy", "frames.npz", "index.json"],
        ),
    log:
        "results/{scale}/logs/cache/nuscenes_{world}.log",
    benchmark:
        "results/{scale}/benchmarks/cache/nuscenes_{world}.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    params:
        settings=lambda w: pipeline.settings("cache", w),
        code=pipeline.code("cache"),
    shell:
        "nexusflow cache --scale {wildcards.scale} --world {wildcards.world}"
        " --workers {threads} 2>&1 | tee {log:q}"
