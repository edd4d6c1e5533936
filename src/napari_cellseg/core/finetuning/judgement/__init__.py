"""Whether a fine-tuned model is better than its parent, beyond chance."""
