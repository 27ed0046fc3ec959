"""The neural learner: logistic models and small MLPs, trained on private sums of gradients or of updates."""
