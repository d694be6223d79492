"""What the stage `training` is made of: batches, the trained module, optimizers, the step, and what watches it."""
