import torch


def jensen_shannon(shares, target, weights):
    seen = (weights > 0)[..., None]
    shares, target = torch.where(seen, shares, 1), torch.where(seen, target, 1)
    middle = (shares + target) / 2

    def divergence(p):
        return torch.xlogy(p, p) - p * (middle + 1e-24).log()

    each = (divergence(shares) + divergence(target)).sum(-1) / 2
    return (weights * each).sum() / len(weights)
