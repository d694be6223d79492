"""What a piece of torch code asks of a device, counted and not timed: copies, waits, draws and operations."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {"_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal", "item", "unique", "_unique2"}
"""Operations whose result the host needs before it can go on."""
DEVICE = "cpu:0"
"""A device whose tensors say that they are on `cpu`: whatever is moved to it, moved already or not, is seen."""


class Counting(TorchDispatchMode):
    """Counts on this thread alone, so that what a helping thread does costs nothing.

    copies      operations that move a tensor to a device, by their name
    waits       operations that a GPU would have to finish first
    draws       operations that take random numbers
    launches    all operations that compute: each is a kernel on a GPU, or several
    """

    def __init__(self):
        super().__init__()
        self.copies, self.waits, self.draws, self.launches = [], [], [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, kwargs = function._schema.name.split("::")[1], kwargs or {}
        if name == "_to_copy" and kwargs.get("device") not in (None, args[0].device):
            self.copies.append(str(kwargs["device"]))
        elif name in WAITS:
            self.waits.append(name)
        elif torch.Tag.nondeterministic_seeded in function.tags and "attention" not in name:  # which may have dropout
            self.draws.append(name)
        elif not function.is_view:
            self.launches += 1
        return function(*args, **kwargs)
