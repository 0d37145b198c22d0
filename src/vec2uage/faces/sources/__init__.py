"""Where faces come from: folders and tables of photographs, files of vectors, or several of these at once."""
