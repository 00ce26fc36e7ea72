"""The pipeline drawn from the built models, and the video of one scene."""


rule outline:
    # Needs no data and no training: the configured model is built and measured.
    output:
        "results/{scale}/outlines/{suite}.json",
    log:
        "results/{scale}/logs/outline/{suite}.log",
    conda:
        "../../environment.yml"
    threads: 1
    params:
        settings=pipeline.outline_settings,
        code=lambda w: pipeline.outline_code(w.suite),
    shell:
        "nexusflow outline --scale {wildcards.scale} --suite {wildcards.suite} 2>&1 | tee {log:q}"


rule figure2:
    input:
        lambda w: pipeline.outline_files(w.scale),
    output:
        "results/{scale}/figure2.png",
        "results/{scale}/figure2.pdf",
    log:
        "results/{scale}/logs/paper/figure2.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("figure2", w),
        code=pipeline.paper_code("figure2"),
    shell:
        "nexusflow figure figure2 --scale {wildcards.scale} 2>&1 | tee {log:q}"


rule video:
    input:
        "results/{scale}/qualitative/video.npz",
        "results/{scale}/qualitative/video.json",
    output:
        "results/{scale}/video.gif",
    log:
        "results/{scale}/logs/paper/video.log",
    conda:
        "../../environment.yml"
    params:
        settings=lambda w: pipeline.paper_settings("video", w),
        code=pipeline.paper_code("video"),
    shell:
        "nexusflow figure video --scale {wildcards.scale} 2>&1 | tee {log:q}"
