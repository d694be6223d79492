import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what makes a shell complete mep's commands, recipes and runs.

    bash: add  eval "$(mep completion bash)"  to ~/.bashrc; zsh: the same with zsh in ~/.zshrc; fish:
    mep completion fish > ~/.config/fish/completions/mep.fish
    """
    from click.shell_completion import get_completion_class

    from mep.cli.console import show
    from mep.cli.main import main

    found = get_completion_class(shell)
    assert found is not None  # the choice above names only shells that click knows
    show(found(main, {}, "mep", "_MEP_COMPLETE").source())
