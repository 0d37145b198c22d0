"""What is written for other programs beside the tables: `export=` of `vec2uage.predict`."""
