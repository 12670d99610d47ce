"""Counter-based noise: the same everywhere, uniform, and different wherever anything differs."""

import torch

from generation.noise import content_seed, gumbel, uniform


def test_draws_depend_on_seed_and_counter_alone() -> None:
    seeds = torch.tensor([3, -7, 2**62], dtype=torch.int64)
    together = uniform(seeds, 5, 100)
    for row, seed in enumerate(seeds):
        alone = uniform(seed[None], torch.tensor([5]), 100)[0]
        assert torch.equal(together[row], alone)


def test_draws_are_fixed_for_ever() -> None:
    drawn = uniform(torch.tensor([1], dtype=torch.int64), 2, 3)[0]
    expected = torch.tensor(EXPECTED)
    assert torch.equal(drawn, expected)


EXPECTED = [0.37843209505081177, 0.9668428301811218, 0.0855594277381897]


def test_draws_are_uniform_and_uncorrelated() -> None:
    drawn = uniform(torch.arange(64, dtype=torch.int64), 9, 4096)
    assert abs(float(drawn.mean()) - 0.5) < 0.003
    assert abs(float(drawn.var()) - 1 / 12) < 0.002
    assert float(drawn.min()) > 0
    assert float(drawn.max()) < 1
    neighbours = torch.corrcoef(torch.stack([drawn[:-1].flatten(), drawn[1:].flatten()]))[0, 1]
    assert abs(float(neighbours)) < 0.01


def test_gumbel_sampling_follows_the_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0])
    noise = gumbel(torch.arange(40_000, dtype=torch.int64), 0, 3)
    counts = torch.bincount((logits + noise).argmax(-1), minlength=3) / 40_000
    assert torch.allclose(counts, logits.softmax(0), atol=0.01)


def test_content_seeds_differ_by_every_part() -> None:
    seeds = {
        content_seed("a", 1, 1),
        content_seed("a", 1, 2),
        content_seed("a", 11),
        content_seed("b", 1, 1),
    }
    assert len(seeds) == 4
    assert all(-(2**63) <= seed < 2**63 for seed in seeds)
