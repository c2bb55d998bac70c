"""Generation of images: a generator and a critic, trained against each other."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from heldout.data.store import Split
from heldout.models.drawing import critic, drawer
from heldout.models.gan import GAN
from heldout.predictions import Predictions
from heldout.scoring import GENERATION, scoring_of
from heldout.tasks.drawn import RealImages
from heldout.tasks.task import Batch, Task


class Generate(Task):
    """Trains a network that draws images like those of `{"inputs": {"x": uint8 [batch, channels, height, width]}}`.

    The critic learns to score real images above drawn ones, pair by pair (Jolicoeur-Martineau 2019), with penalties on
    its squared gradients at both (R1 of Mescheder et al. 2018, and R2): the objective of Huang et al. 2024
    (arXiv 2501.05441, section 2). Both step at once, at the same weights, by one optimizer. A moving average of the
    generator's weights is what draws where anything is measured.
    """

    def __init__(
        self, network: nn.Module, real: RealImages, measured: dict[str, Split], batch_size: int, **options: Any
    ) -> None:
        super().__init__(network, **options)
        assert isinstance(network, GAN)
        assert self.steps is not None, "config checks ask for full precision on one device"
        self.gan = network
        self._real = real
        self._measured_splits = measured
        self._batch_size = batch_size
        # of the steps since the last epoch ended: of the critic, of the generator
        self._losses: list[Tensor] = []

    def training_step(self, block: Batch, batch_idx: int) -> None:
        steps = self.steps
        assert steps is not None
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        schedule: Any = self.lr_schedulers()
        for images in block["inputs"]["x"].split(steps.batch_size):
            optimizer.zero_grad()
            self._add_gradients(images)
            if steps.gradient_clip is not None:
                nn.utils.clip_grad_norm_(self.network.parameters(), steps.gradient_clip)
            optimizer.step()
            if schedule is not None:
                schedule.step()
            # a young average would remember the random weights of the beginning
            self.gan.average(min(self.gan.average_decay, (1 + self.steps_done) / (10 + self.steps_done)))
            self.steps_done += 1

    def _add_gradients(self, images: Tensor) -> None:
        gan = self.gan
        # on the CPU, whose generator a checkpoint holds
        codes = torch.randn(len(images), gan.latent).to(images.device)
        generated = gan.generator(codes)
        critic_loss, real_scores = of_critic(gan, images, generated.detach())
        critic_loss.backward()  # type: ignore[no-untyped-call]
        generator_loss = F.softplus(real_scores.detach() - gan.critic(generated)).mean()
        parameters = list(gan.generator.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(generator_loss, parameters), strict=True):
            parameter.grad = gradient
        losses = torch.stack([critic_loss.detach(), generator_loss.detach()])
        self.step_losses.append(losses.sum())
        self._losses.append(losses)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Nothing: samples are measured as wholes, not batch by batch."""

    def on_validation_epoch_end(self) -> None:
        scoring = scoring_of(GENERATION)
        draw, criticise = drawer(self.gan, self._batch_size), critic(self.gan, self._batch_size)
        for name, split in self._measured_splits.items():
            columns = self._real.measured(split, draw, criticise)
            self.measured[name] = scoring.of(Predictions(split.ids, columns=columns))
        critic_loss, generator_loss = torch.stack(self._losses).mean(dim=0).tolist()
        self.measured["train"] |= {"critic_loss": critic_loss, "generator_loss": generator_loss}
        self._losses = []
        self.log_measured()


def of_critic(gan: GAN, images: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's loss over pairs of a real and a generated image, and its scores of the real ones, [batch, 1].

    The penalty is the mean over pairs of the squared norms of the gradients of both scores.
    """
    standardised = gan.critic.standardised(torch.cat([images.to(generated.dtype), generated])).detach().requires_grad_()
    scores = gan.critic.scores(standardised)
    (gradient,) = torch.autograd.grad(scores.sum(), standardised, create_graph=True)
    penalty = gradient.square().sum() / len(images)
    real_scores, drawn_scores = scores.chunk(2)
    loss = F.softplus(drawn_scores - real_scores).mean() + gan.gradient_penalty / 2 * penalty
    return loss, real_scores
