"""Figures of merit, in numpy: what a list of predictions is worth against the truth.

`oks`        object keypoint similarity, and with it rescoring and suppression of the poses of one image
`coco`       AP and AR of COCO keypoints, and of the data sets that are scored alike (CrowdPose, OCHuman)
`wholebody`  the same for each part of COCO-WholeBody
`pck`        the share of joints within a distance: PCKh of MPII, PCK by the torso or the box, AUC and EPE
`nme`        the error of face landmarks against the size of the face
`mpjpe`      the error of joints in space, by action and by protocol
"""
