"""Makes augmented faces of photographed ones, and judges operations by what they do to the embedding (section 3.2).

    settings  the config group: a recipe (ops, and the faster `levels` and `rotation`), the keep_rule, how many faces
       |
       v
    source_faces    photographs, or the rows of a prepared set            -> SourceFace
       v
    drawing         AugmentedFace (source, recipe, number)                -> pixels, in worker processes
       v
    augmenter       AugmentedFace                                         -> vector, kept in the store
       |
       +--> tta                         rows to predict                   -> vectors of their augmented selves
       +--> analysis                    sources x operations              -> cosines before and after
       |      +--> analysis_report                                        -> tables and figures
       v      v
    generate        ages that lack faces (fits disk_space?)               -> those that the keep rule keeps
       v
    write_set       vectors, children.csv, pictures                       -> <prepared set>/augmented/<name>/
       .
    augmented_set   that folder: found, checked and read
       v
    balance         training rows: photographed faces, then augmented ones, as many of each age

What an augmented face looks like depends on the source face, the recipe with its seed, and its number alone. `run` is
the command, `augment_settings` its options.
"""
