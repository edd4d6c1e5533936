"""What a training run consists of: its settings, its state, its validation."""
