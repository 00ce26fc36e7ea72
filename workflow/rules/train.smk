"""Every run of config/experiments.yaml; a phase-2 run waits for the run it starts from."""


rule train:
    input:
        pipeline.training_inputs,
    output:
        expand(
            "results/{{scale}}/checkpoints/{{suite}}/{{run}}/seed{{seed}}/{name}",
            name=pipeline.checkpoint_names,
        ),
    log:
        "results/{scale}/logs/train/{suite}_{run}_seed{seed}.log",
    benchmark:
        "results/{scale}/benchmarks/train/{suite}_{run}_seed{seed}.tsv"
    # Long jobs first: a run that others start from must not wait for evaluations.
    priority: 10
    conda:
        "../../environment.yml"
    # A process for each device of the run's budget; on a CPU each has a core.
    threads: training_devices
    resources:
        gpu=training_devices,
    params:
        settings=lambda w: pipeline.settings("train", w),
        code=pipeline.training_code,
    shell:
        "nexusflow train --scale {wildcards.scale} --suite {wildcards.suite}"
        " --run {wildcards.run} --seed {wildcards.seed} 2>&1 | tee {log:q}"
