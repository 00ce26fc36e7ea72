"""What the rules ask of the command line, and of the budgets."""


def training_devices(wildcards):
    """GPUs, or processes on a CPU, that train a run together."""
    run = pipeline.of(wildcards.scale).resolve(wildcards.suite, wildcards.run)
    return run.training.devices


def asked_for_all():
    """Whether every table and figure is being made, so that what sums them up waits for them."""
    asked = workflow.dag_settings
    # A job that a cluster runs names itself; what it waited for is there by then.
    if asked is None or asked.target_jobs:
        return False
    return not asked.targets or bool(
        {"all", "stage_paper", "stage_paper_of_scale"} & set(asked.targets)
    )
