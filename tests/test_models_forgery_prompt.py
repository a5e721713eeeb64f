"""The forgery prompt learner: shapes, what each token depends on, and that a model can read the evidence off it."""

from __future__ import annotations

import inspect

import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from facewitness.errors import InputError  # noqa: E402
from facewitness.models.forgery_prompt import ForgeryPromptLearner  # noqa: E402


def learner(**options) -> ForgeryPromptLearner:
    torch.manual_seed(0)
    return ForgeryPromptLearner(**({"embedding": 20, "tokens": 5, "width": 8} | options))


def evidence(n: int = 3, levels: int = 3, size: int = 32):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.rand(n, 1, size, size, generator=generator),
        torch.randn(n, 2 * levels, size // 4, size // 4, generator=generator),
        torch.rand(n, generator=generator),
    )


@pytest.mark.parametrize(("levels", "grid", "base", "size"), [(3, 4, 8, 32), (1, 2, 1, 20), (3, 4, 8, 224)])
def test_tokens_have_the_width_of_the_language_model(levels, grid, base, size):
    tokens = learner(levels=levels, grid=grid, base=base)(*evidence(3, levels, size))
    assert tokens.shape == (3, 5, 20) and torch.isfinite(tokens).all()


def test_the_parts_are_concatenated_and_mixed_over_tokens():
    module = learner()
    assert module.base.shape == (8, 20)
    assert module.mix.in_channels == 8 + 16 + 16 + 1 and module.mix.out_channels == 5
    forgery_map, consistency, score = evidence()
    parts = torch.cat([
        module.base.expand(3, 8, 20),
        module.from_map(forgery_map).reshape(3, 20, 16).permute(0, 2, 1),
        module.from_consistency(consistency).reshape(3, 20, 16).permute(0, 2, 1),
        (score[:, None] * module.from_score.weight[:, 0] + module.from_score.bias)[:, None],
    ], dim=1)  # fmt: skip
    mixed = torch.einsum("ft,btc->bfc", module.mix.weight[..., 0], parts) + module.mix.bias[:, None]
    centred = mixed - mixed.mean(-1, keepdim=True)
    expected = 0.02 * centred / (centred.pow(2).mean(-1, keepdim=True) + module.norm.eps).sqrt()
    assert torch.allclose(module(forgery_map, consistency, score), expected, atol=1e-6)


def test_tokens_are_as_large_as_word_embeddings():
    tokens = learner(scale=0.05)(*evidence())
    assert float(tokens.detach().pow(2).mean().sqrt()) == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_map_consistency_and_score_each_change_the_tokens_of_their_picture_alone(which):
    module, inputs = learner().eval(), evidence()
    before = module(*inputs)
    changed = list(inputs)
    changed[which] = inputs[which].clone()
    changed[which][1] = 1 - changed[which][1]
    after = module(*changed)
    assert not torch.allclose(before[1], after[1], atol=1e-5)
    assert torch.allclose(before[[0, 2]], after[[0, 2]], atol=1e-6)


def test_gradient_reaches_every_parameter_and_the_evidence():
    module = learner()
    inputs = [part.requires_grad_() for part in evidence()]
    (module(*inputs) * torch.randn(3, 5, 20)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [*module.parameters(), *inputs])


def test_score_and_place_can_be_read_off_the_tokens():
    torch.manual_seed(0)
    module, read = learner(), torch.nn.Linear(5 * 20, 2)
    generator = torch.Generator().manual_seed(2)
    left = torch.rand(64, generator=generator) < 0.5
    score = torch.rand(64, generator=generator)
    forgery_map = torch.zeros(64, 1, 32, 32)
    forgery_map[left, :, 8:16, 2:12] = 1
    forgery_map[~left, :, 8:16, 20:30] = 1
    consistency = torch.randn(64, 6, 8, 8, generator=generator)
    optimizer = torch.optim.Adam([*module.parameters(), *read.parameters()], lr=3e-3)
    wanted = torch.stack([left, score > 0.5], dim=1)
    for _ in range(100):
        said = read(module(forgery_map, consistency, score).flatten(1) / 0.02)
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(said, wanted.float()).backward()
        optimizer.step()
    assert ((said > 0) == wanted).float().mean() > 0.95


def test_config_makes_it_again():
    module = learner(levels=2)
    again = ForgeryPromptLearner(**module.config)
    again.load_state_dict(module.state_dict())
    assert torch.equal(module(*evidence(levels=2)), again(*evidence(levels=2)))
    assert set(module.config) == set(inspect.signature(ForgeryPromptLearner).parameters)


def test_other_shapes_are_refused_in_a_sentence():
    forgery_map, consistency, score = evidence()
    with pytest.raises(InputError, match=r"map: expected \(3, 1, height, width\)"):
        learner()(forgery_map[:, 0], consistency, score)
    with pytest.raises(InputError, match=r"consistency: expected \(3, 6, height, width\), got \(3, 4, 8, 8\)"):
        learner()(forgery_map, consistency[:, :4], score)
    with pytest.raises(InputError, match="score"):
        learner()(forgery_map, consistency, score[:, None])
    with pytest.raises(InputError, match="tokens above 0"):
        learner(tokens=0)


def test_narrower_weights_take_the_detectors_wider_numbers():
    learner = ForgeryPromptLearner(16, levels=1, grid=2, tokens=3, width=4).to(torch.bfloat16)
    tokens = learner(torch.rand(2, 1, 16, 16), torch.rand(2, 2, 8, 8), torch.rand(2))
    assert tokens.dtype == torch.bfloat16 and torch.isfinite(tokens).all()


def test_each_token_begins_as_its_own_place():
    """A change of the map at one place moves that place's token most, where there is one token a place."""
    torch.manual_seed(0)
    learner = ForgeryPromptLearner(32, levels=1, grid=4, tokens=16, width=8)
    empty, consistency, score = torch.zeros(1, 1, 64, 64), torch.zeros(1, 2, 16, 16), torch.tensor([0.5])
    before = learner(empty, consistency, score)
    for place in (0, 5, 15):
        row, column = divmod(place, 4)
        changed = empty.clone()
        changed[0, 0, row * 16 + 4 : row * 16 + 12, column * 16 + 4 : column * 16 + 12] = 1
        moved = (learner(changed, consistency, score) - before).square().sum(dim=2)[0]
        assert int(moved.argmax()) == place


def test_the_authors_sizes_are_nine_of_each_and_a_kernel_over_the_width():
    module = ForgeryPromptLearner(24, base=9, grid=3, tokens=9, width=8, kernel=3)
    assert module.mix.weight.shape == (9, 9 + 9 + 9 + 1, 3)
    assert module(*evidence()).shape == (3, 9, 24)
    with pytest.raises(InputError, match="odd kernel"):
        ForgeryPromptLearner(24, kernel=2)
