"""Makes augmented faces of photographed ones, and judges operations by what they do to the embedding (section 3.2).

    photographs, or the rows of a prepared set
       |  source_faces
       v
    SourceFace + recipe + number = AugmentedFace
       |  drawing, in worker processes
       v
    pixels, and JPEG files where they are wanted
       |  augmenter, which keeps in the store what it has made
       v
    vectors
       |--tta-------> the prediction of a face: the mean over it and its augmented selves
       |--analysis--> cosines before and after, by operation --analysis_report--> tables and figures
       |
       |  generate, by the keep_rule, and where there is disk_space
       v
    as many faces as each age lacks
       |  write_set
       v
    <prepared set>/augmented/<name>/
       |  augmented_set
       v
    the same vectors --balance--> training rows, as many of each age

`image_augmentation` holds what is done to faces (a recipe of `ops`; `levels` and `rotation` are Augmentor's, but
faster), which are kept and how many; `execution` what computes them, on which no face depends. Training imports
`balance`, `augmented_set`, `image_augmentation` and what these need, and no image library. `run` is the command,
`augment_settings` its options.
"""
