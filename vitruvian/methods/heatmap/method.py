

def hard_keypoint_loss(maps, target, weights, hardest):
    losses = (weights[..., None, None] * (maps - target).square()).mean((-1, -2))
    return losses.topk(hardest, -1, sorted=False).values.mean()
