"""diffusers and transformers beside a CPU build of torch."""

from mep.machine.torchvision_ops import declare_missing_operators


def prepare_libraries() -> None:
    """Make diffusers and transformers importable beside a CPU build of torch, and keep their bars off the screen."""
    declare_missing_operators()
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()  # it warns of parts that are left out here on purpose
    transformers.utils.logging.disable_progress_bar()
