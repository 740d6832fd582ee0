"""What labelled pictures say of a model: predictions, figures of merit, how sure it may be, how it was fed."""
