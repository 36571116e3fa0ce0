"""What learned strides say: cut-offs, responses, figures, advice."""
