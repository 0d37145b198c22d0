"""From photographs to face vectors, one way; knows nothing of training.

```
sources/    source.find()       a folder, a table           -> [Photograph]              name, age, person: unopened
hashing     hash_files          [Photograph]                -> [Hashes | Refused]        what the file is
                                                                |   each content once
worker      detect              path                        -> Detection                 in worker processes:
  image       decode              bytes                       -> image [H, W, 3]
  detectors/  Detect, choose      image [H, W, 3]             -> [Face]                    boxes, perhaps points
  turning     find_turned         image [H, W, 3]             -> [Face]                    the image turned upright
  crop        crop                image, Face                 -> crop [h, w, 3]
  quality     measure             image, Face                 -> Measures
  embedders/  prepare             crop [h, w, 3]              -> FaceCrop.prepared [...]   the network's input
extract     embed_crops         [FaceCrop] -> [B, ...]      -> vectors [B, D]            in this process
store       put_*               Detection, vectors          -> one SQLite file, which a second run finds
rows        rows_of             what the store knows        -> [Row]                     one for every file or face
            to_vectors          [Row]                       -> VectorSet [N, D]
            write_table         [Row]                       -> faces.csv
prepare     prepare             VectorSet, [Row]            -> the folder that training reads
```

What flows is in `records`. Where a photograph or a face cannot be used, a `Refused` flows on in its place and ends as
the status and reason of its row: functions of pixels raise it and `worker` catches it; what is decided on stored facts
(`choose`, `Quality.check`) returns it. `extract` runs all between `find` and the rows; `gather` does so for all
sources, and reads the vectors that were made already.
"""
