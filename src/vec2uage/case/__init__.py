"""A case's files -> an age with its interval for every face: the work of `vec2uage.predict`."""
