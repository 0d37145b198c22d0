"""Face vectors: one type for them, files and generators they come from, how they are divided and balanced."""
