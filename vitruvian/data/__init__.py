"""Data sets: one reader per file format, and loading in worker processes.

`coco` and `mpii` read annotation files into `Labels`, `boxes` reads detection files, `reading` picks the
reader, `loading` turns labels into samples and batches.
"""
