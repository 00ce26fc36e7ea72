"""What is published under results/ for the default scale."""


rule publish:
    input:
        f"results/{published.scale_name}/{{name}}",
    output:
        "results/{name}",
    log:
        f"results/{published.scale_name}/logs/publish/{{name}}.log",
    wildcard_constraints:
        name="[a-zA-Z0-9_]+\\.(csv|md|png|pdf|gif|html)",
    conda:
        "../../environment.yml"
    shell:
        "cp {input:q} {output:q} 2>&1 | tee {log:q}"
