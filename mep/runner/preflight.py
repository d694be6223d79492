"""What a run needs of the machine, asked before its first stage and not hours later."""

from mep.config import parts
from mep.runner.plan import Plan


def check(plan: Plan) -> None:
    """Look at every task that is not done yet.

    EnvironmentLacks    a model that neither this machine nor the hub has, a package, or a kind of arithmetic
    """
    for lack in plan.lacks:
        raise lack
    missing = [task for task in plan.tasks if task.status != "reuse"]
    if missing:
        plan.recipe.machine.engine.require()
    for task in missing:
        for part in parts(task.config):
            part.require()
        task.config.check_machine(plan.recipe.machine)
