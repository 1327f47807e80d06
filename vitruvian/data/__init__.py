"""Data sets: one reader per file format, and loading in worker processes.

`coco`, `mpii`, `faces`, `cofw` and `lsp` read annotation files into `Labels`, `ochuman` turns its own into COCO's,
`boxes` reads detection files, `reading` picks the reader, `inspection` says what is in a file and wrong with it,
`loading` turns labels into samples and batches.
"""
