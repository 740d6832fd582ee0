"""What labelled pictures say of a model: predictions, figures of merit, and which preprocessing it was trained with."""
