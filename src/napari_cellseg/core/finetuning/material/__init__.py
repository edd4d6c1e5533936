"""What a fine-tuning learns from and is judged by: pictures, their division, replay."""
