"""What a trained model says of examples that it has not seen."""
