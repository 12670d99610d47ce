"""Training of the `soundstream` codec: raw speech in, weights out, on one command.

    python -m generation.training.codec --data ../shared/data --minutes 60 --out runs/codec
    python -m generation.training.codec … --from generation/weights/soundstream.safetensors

The analysis (band completion, codebooks) is fitted first, in minutes; then the decoder learns to speak
from quantised envelopes, from the spectral energy distance alone at first and from discriminators as
well in the second half. With ``--from`` only the decoder of given weights learns on: their analysis stays
as it is to the bit, so that models trained on the codec's codes stay valid.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generation.codec.soundstream import (
    SoundStreamCodec,
    SoundStreamConfig,
    SoundStreamModel,
    pitch_tensors,
)
from generation.codec.soundstream_decoder import noise, pulses
from generation.numerics import inference_dtype
from generation.rates import HOP_SAMPLES, SAMPLE_RATE_HZ
from generation.training.codec_data import (
    Clip,
    Crop,
    Crops,
    cut,
    heldout_paths,
    load_clips,
    manifest,
    training_rows,
)
from generation.training.codec_losses import Discriminators, spectral_energy_distance
from generation.training.codec_quantiser import fit_analysis
from generation.training.loop import Budget, Recipe, Step, averaged_weights, train

BATCH = 8
CROP_SAMPLES = 32 * HOP_SAMPLES
JUDGED_ROWS = 4
JUDGED_SAMPLES = 16 * HOP_SAMPLES
"""Discriminators see part of the batch, cut shorter: they cost more than the decoder."""

TRAINING_BEAM = 2
"""Partial codings kept while crops are quantised: a sixth of the codec's own search's time."""

ADVERSARIAL_FROM, ADVERSARIAL_FROM_TRAINED = 0.45, 0.25
"""Part of the budget after which the decoder hears the discriminators: a fresh one, and a trained one."""

JUDGES_AHEAD = 0.04
"""Part of the budget in which discriminators learn before the decoder hears them."""

SPECTRAL_WEIGHT, ADVERSARIAL_WEIGHT, MATCHING_WEIGHT = 10.0, 1.0, 2.0
UNQUANTISED_SHARE, DROPOUT_SHARE = 0.15, 0.25
RECIPE = Recipe(
    learning_rate=1e-3, warmup_steps=100, betas=(0.8, 0.98), clip_norm=5.0, ema_decay=0.998
)
RECIPE_TRAINED = replace(RECIPE, learning_rate=4e-4, warmup_steps=30)


class CodecObjective:
    """The decoder's losses on crops of speech, quantised by the fitted codebooks."""

    batch_s = BATCH * CROP_SAMPLES / SAMPLE_RATE_HZ

    def __init__(
        self,
        model: SoundStreamModel,
        clips: list[Clip],
        heldout: list[Clip],
        adversarial_from: float = ADVERSARIAL_FROM,
    ) -> None:
        self.model: SoundStreamModel = model
        self.adversarial_from = adversarial_from
        self.crops = Crops(clips, CROP_SAMPLES)
        self.heldout = [cut(clip, 1.0, 0.3, CROP_SAMPLES) for clip in heldout]
        self.device = model.quantiser.books.device
        self.discriminators = Discriminators().to(self.device)
        self.judge_optimiser = torch.optim.AdamW(
            self.discriminators.parameters(), lr=4e-4, betas=(0.8, 0.98)
        )

    def state(self) -> dict[str, Any]:
        """Keep the discriminators."""
        return {
            "discriminators": self.discriminators.state_dict(),
            "judge_optimiser": self.judge_optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take the discriminators back."""
        self.discriminators.load_state_dict(state["discriminators"])
        self.judge_optimiser.load_state_dict(state["judge_optimiser"])

    def envelopes(self, crops: Sequence[Crop], books: Sequence[int | None]) -> Tensor:
        """Envelopes (B, F, M) after the given number of codebooks (None: unquantised)."""
        waveforms = torch.from_numpy(np.stack([crop.waveform for crop in crops])).to(self.device)
        with torch.no_grad():
            exact = self.model.envelope(waveforms)
            rows = []
            for crop, row, count in zip(crops, exact, books, strict=True):
                if crop.limit_hz < SAMPLE_RATE_HZ / 2 - 1:
                    row = self.model.envelope.complete(row)
                if count is not None:
                    codes = self.model.quantiser.encode(row, count, TRAINING_BEAM)
                    row = self.model.quantiser.decode(codes)
                rows.append(row)
        return torch.stack(rows)

    def render(
        self, crops: Sequence[Crop], envelope: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Two renderings (B, N) of the same filters with different noise."""
        decoder = self.model.decoder
        f0, voiced = (t.to(self.device) for t in pitch_tensors([crop.pitch for crop in crops]))
        pulse, hiss = decoder.filters(envelope, f0, voiced)
        with torch.no_grad():
            source = decoder.spectrum(pulses(f0, voiced)[0])
            samples = CROP_SAMPLES
            hush = [decoder.spectrum(noise(samples, seeds + k * 30_011)) for k in (0, 1)]
        first, second = (decoder.synthesise(pulse, hiss, source, h) for h in hush)
        return first, second

    def batch(self, step: Step) -> dict[str, Tensor]:
        """Losses of one batch; the discriminators take their own step in here."""
        rng = step.rng
        crops = [self.crops.draw(rng) for _ in range(BATCH)]
        books = [self._books(rng) for _ in crops]
        seeds = torch.from_numpy(rng.integers(0, 60_000, BATCH)).to(self.device)
        first, second = self.render(crops, self.envelopes(crops, books), seeds)
        target = torch.from_numpy(np.stack([c.waveform for c in crops])).to(self.device)
        limits = torch.tensor([c.limit_hz for c in crops], device=self.device)
        distance, attract = spectral_energy_distance(first, second, target, limits)
        losses = {"loss": SPECTRAL_WEIGHT * distance, "energy": distance, "spectral": attract}
        if step.progress >= self.adversarial_from - JUDGES_AHEAD:
            start = int(rng.integers(0, CROP_SAMPLES - JUDGED_SAMPLES))
            span = (slice(0, JUDGED_ROWS), slice(start, start + JUDGED_SAMPLES))
            judged = target[span], first[span], limits[:JUDGED_ROWS]
            losses["judges"] = self._teach_judges(*judged)
            if step.progress >= self.adversarial_from:
                with self._judging():
                    adversarial, matching = self.discriminators.decoder_loss(*judged)
                losses |= {"adversarial": adversarial, "matching": matching}
                losses["loss"] = losses["loss"] + (
                    ADVERSARIAL_WEIGHT * adversarial + MATCHING_WEIGHT * matching
                )
        return losses

    def _books(self, rng: np.random.Generator) -> int | None:
        """How many codebooks a row is given: mostly all, some fewer, some rows unquantised."""
        kind = rng.random()
        if kind < UNQUANTISED_SHARE:
            return None
        count = self.model.config.spectral_books
        return int(rng.integers(1, count)) if kind < UNQUANTISED_SHARE + DROPOUT_SHARE else count

    def _judging(self) -> torch.autocast:
        """Have the judges' convolutions run in bf16 where the device multiplies it."""
        dtype = inference_dtype(self.device)
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)

    def _teach_judges(self, real: Tensor, fake: Tensor, limits: Tensor) -> Tensor:
        with self._judging():
            judged = self.discriminators.loss(real, fake, limits)
        if bool(torch.isfinite(judged)):
            self.judge_optimiser.zero_grad(set_to_none=True)
            judged.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.discriminators.parameters(), 5.0)
            self.judge_optimiser.step()
        return judged

    def evaluate(self) -> dict[str, float]:
        """Spectral distances on voices kept out, with all codebooks."""
        energy, spectral = [], []
        for at in range(0, len(self.heldout), BATCH):
            crops = self.heldout[at : at + BATCH]
            books = [self.model.config.spectral_books] * len(crops)
            seeds = torch.arange(len(crops), device=self.device)
            first, second = self.render(crops, self.envelopes(crops, books), seeds)
            target = torch.from_numpy(np.stack([c.waveform for c in crops])).to(self.device)
            limits = torch.tensor([c.limit_hz for c in crops], device=self.device)
            distance, attract = spectral_energy_distance(first, second, target, limits)
            energy.append(float(distance))
            spectral.append(float(attract))
        return {"energy": float(np.mean(energy)), "spectral": float(np.mean(spectral))}


def heldout_clips(data: Path, count: int = 24) -> list[Clip]:
    """Read about `count` held-out recordings, spread over the corpora."""
    held = heldout_paths()
    rows = [row for row in manifest(data) if row["path"] in held]
    return load_clips(data, rows[:: max(1, len(rows) // count)])


def fitted_model(config: SoundStreamConfig, clips: list[Clip], folder: Path) -> SoundStreamModel:
    """Fit the analysis of a model, or take it from an earlier start of the same run."""
    model = SoundStreamModel(config)
    path = folder / "analysis.safetensors"
    if path.is_file():
        return SoundStreamCodec.load(path).model.requires_grad_(True).train()
    errors = fit_analysis(model, clips)
    print("envelope error in dB after each codebook:", " ".join(f"{e:.2f}" for e in errors))
    SoundStreamCodec(model).save(path)
    return model.requires_grad_(True).train()


def trained_model(weights: Path) -> SoundStreamModel:
    """Load weights whose decoder is to learn on; all that makes codes is buffers, which nothing trains."""
    return SoundStreamCodec.load(weights).model.requires_grad_(True).train()


def main() -> None:
    """Train from the command line; the weights are left in ``DIR/soundstream.safetensors``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with speech/manifest.tsv")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, log and weights")
    parser.add_argument("--from", dest="trained", type=Path, help="weights whose decoder learns on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    clips = load_clips(options.data, training_rows(options.data))
    heldout = heldout_clips(options.data)
    if options.trained:
        model = trained_model(options.trained).to(options.device)
        objective = CodecObjective(model, clips, heldout, ADVERSARIAL_FROM_TRAINED)
    else:
        model = fitted_model(SoundStreamConfig(), clips, options.out).to(options.device)
        objective = CodecObjective(model, clips, heldout)
    recipe = RECIPE_TRAINED if options.trained else RECIPE
    outcome = train(objective, recipe, Budget(minutes=options.minutes), options.out)
    model.load_state_dict(averaged_weights(options.out))
    digest = SoundStreamCodec(model).save(options.out / "soundstream.safetensors")
    print(f"{outcome.steps} steps, {outcome.audio_h:.1f} h heard, {outcome.figures}, {digest[:12]}")


if __name__ == "__main__":
    main()
