

def combined_loss(maps, target, weights):
    weights = weights[..., None, None]
    disc = weights * target[..., 0, :, :]
    heat = (weights * maps[..., 0, :, :] - disc).square()
    offsets = (disc[..., None, :, :] * (maps[..., 1:, :, :] - target[..., 1:, :, :])).square().sum(-3)
    return (heat + offsets).mean() / 2
