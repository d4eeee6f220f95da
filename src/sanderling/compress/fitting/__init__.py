"""What flows into operators on the samples, and the weights that suit it."""
