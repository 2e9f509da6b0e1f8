"""What is wrong with a gradient, a result or a training, in words."""
