"""What model code takes from torchvision, with the names of its published checkpoints. What is not here is not known."""
