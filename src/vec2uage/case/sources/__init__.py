"""Where the files of a case are listed: `source=` of `vec2uage.predict`."""
