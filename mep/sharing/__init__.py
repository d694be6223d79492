"""What others take away of a run: model, synthetic images, a research object, a checklist. Real images stay behind."""
