"""Registers our shapes with transformers: after `import shrunk_core.hf`, `AutoModelForMaskedLM` loads any run's model/."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForMaskedLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput

from .config.spec import ModelSpec
from .model.heads import MaskedLanguageModel


class ShrunkConfig(PretrainedConfig):
    """A shape of ours that no stock class has; `shape` holds the fields of ModelSpec."""

    model_type = "shrunk"

    def __init__(self, shape: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.shape = shape or {}
        super().__init__(**kwargs)


class ShrunkForMaskedLM(PreTrainedModel):
    """Our model behind the Hugging Face interface."""

    config_class = ShrunkConfig
    base_model_prefix = "model"

    def __init__(self, config: ShrunkConfig) -> None:
        super().__init__(config)
        self.model = MaskedLanguageModel(ModelSpec(**config.shape))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.encoder.embeddings.token

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.encoder.embeddings.token = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> MaskedLMOutput:
        """Logits (B, S, V), and the mean cross-entropy over labels other than -100 when labels are given."""
        real = None if attention_mask is None or bool(attention_mask.all()) else attention_mask.bool()
        logits = self.model(input_ids, real)
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return MaskedLMOutput(loss=loss, logits=logits)  # type: ignore[arg-type]


AutoConfig.register("shrunk", ShrunkConfig)
AutoModelForMaskedLM.register(ShrunkConfig, ShrunkForMaskedLM)
