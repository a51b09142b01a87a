"""A base model with LoRA on all its linear layers: opened, computed in packed rows, saved.

Imports torch, transformers and peft: reach this module only when something is to be trained.
"""

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM

from podcaster.errors import EngineError, EngineMissing, InputError, foreign
from podcaster.placement import has_bf16
from podcaster.train.attention import PACKED
from podcaster.train.bases import read_shape
from podcaster.train.estimates import choose_bf16
from podcaster.train.options import TrainOptions
from podcaster.train.spelling import GUEST, HOST, Example

ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
LOSS_POSITIONS = 1024  # whose logits are in memory at a time
# what has no part in text: a model that also sees keeps its eyes as they are
NO_TEXT = r".*(vision_tower|multi_modal_projector).*"


@dataclass
class RowLoss:
    """What a row cost: the sum to differentiate, and nats and tokens by whose they are."""

    total: torch.Tensor
    nats: dict[int, float]
    tokens: dict[int, int]


class Network:
    """A causal language model of which only LoRA matrices learn.

    Raises EngineError where it cannot be opened, EngineMissing without bitsandbytes for `4bit`.
    """

    def __init__(
        self, folder: Path, options: TrainOptions, *, rank: int, alpha: float, device: str
    ) -> None:
        self.device = torch.device(device)
        self.learned = {"both": (HOST, GUEST), "host": (HOST,), "guest": (GUEST,)}[options.roles]
        self._bf16 = choose_bf16(
            options.precision,
            read_shape(folder).parameters,
            gpu=self.device.type == "cuda",
            able=has_bf16(device),
        )
        torch.manual_seed(options.seed)
        with foreign(EngineError, f"Opening the model in {folder}"):
            model = _open(folder, options, self.device, bf16=self._bf16)
            if options.quantise_base == "4bit":
                model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
            model.config.use_cache = False
            seeing = any(re.match(NO_TEXT, name) for name, _ in model.named_modules())
            settings = LoraConfig(
                r=rank,
                lora_alpha=alpha,
                lora_dropout=options.dropout,
                target_modules="all-linear",
                exclude_modules=NO_TEXT if seeing else None,
                task_type="CAUSAL_LM",
            )
            torch.manual_seed(options.seed)  # for the matrices, whatever opening has drawn
            self.model: Any = get_peft_model(model, settings)
        base = self.model.get_base_model()
        self.body: Any = base.get_decoder()
        self.head: Any = base.get_output_embeddings()
        self._softcap = getattr(base.config.get_text_config(), "final_logit_softcapping", None)
        if options.checkpointing == "on":
            # LoRA's inputs need gradients, or nothing below the first matrix is computed again
            base.enable_input_require_grads()
            base.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        for parameter in self.parameters():
            parameter.data = parameter.data.float()
        self.model.train()

    def parameters(self) -> list[torch.nn.Parameter]:
        """What learns, in the order of the model."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def compute_loss(self, sequences: Sequence[Example]) -> RowLoss:
        """The loss of sequences side by side, summed over what is learned; not yet divided."""
        ids = torch.from_numpy(np.concatenate([s.ids for s in sequences]).astype(np.int64))
        lengths = tuple(len(s) for s in sequences)
        places = torch.cat([torch.arange(length) for length in lengths])
        owners = torch.from_numpy(np.concatenate([_shift(s.owners) for s in sequences]))
        wanted = torch.cat([ids[1:], ids[:1]])
        learned = torch.isin(owners, torch.tensor(self.learned, dtype=owners.dtype))
        at = learned.nonzero()[:, 0]
        with self._autocast():
            hidden = self.body(
                input_ids=ids[None].to(self.device),
                position_ids=places[None].to(self.device),
                sequence_lengths=lengths,
            ).last_hidden_state[0]
            losses = self._cross_entropy(hidden[at.to(self.device)], wanted[at].to(self.device))
        known = losses.detach().cpu()
        return RowLoss(
            losses.sum(),
            {who: float(known[owners[at] == who].sum()) for who in self.learned},
            {who: int((owners[at] == who).sum()) for who in self.learned},
        )

    def measure(self, sequences: Sequence[Example]) -> RowLoss:
        """The same without learning, for both roles."""
        kept, self.learned = self.learned, (HOST, GUEST)
        self.model.eval()
        try:
            with torch.no_grad():
                return self.compute_loss(sequences)
        finally:
            self.learned = kept
            self.model.train()

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the LoRA matrices, as peft names them in a file."""
        found = get_peft_model_state_dict(self.model)
        # on a processor the matrices themselves would go on changing in the caller's hands
        return {n: v.detach().to("cpu", copy=True).contiguous() for n, v in found.items()}

    def save_adapter(self, folder: Path, base: str) -> None:
        """Write `adapter_model.safetensors` and `adapter_config.json` as peft does."""
        save_file(self.state(), folder / ADAPTER, metadata={"format": "pt"})
        settings = self.model.peft_config["default"]
        settings.base_model_name_or_path = base
        settings.inference_mode = True
        settings.save_pretrained(str(folder))
        settings.inference_mode = False

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over LoRA matrices. Raises InputError where they are another model's."""
        own = {name: tuple(value.shape) for name, value in self.state().items()}
        given = {name: tuple(value.shape) for name, value in state.items()}
        for name, shape in own.items():
            if given.get(name) != shape:
                raise InputError(
                    f"The adapter is another model's: {name} has {given.get(name, 'no')} shape, "
                    f"expected {shape}."
                )
        set_peft_model_state_dict(self.model, state)

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self._bf16:
            return nullcontext()
        casting: AbstractContextManager[Any] = torch.autocast(self.device.type, torch.bfloat16)
        return casting

    def _cross_entropy(self, hidden: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Nats of each, with the logits of few positions in memory at a time."""
        parts = [
            checkpoint(self._score, h, w, use_reentrant=False)
            if torch.is_grad_enabled()
            else self._score(h, w)
            for h, w in zip(hidden.split(LOSS_POSITIONS), wanted.split(LOSS_POSITIONS), strict=True)
        ]
        return torch.cat(parts) if parts else hidden.sum(-1)

    def _score(self, hidden: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        logits = self.head(hidden).float()
        if self._softcap:
            logits = torch.tanh(logits / self._softcap) * self._softcap
        return functional.cross_entropy(logits, wanted, reduction="none")


def read_adapter(folder: Path) -> dict[str, torch.Tensor]:
    """An adapter's tensors. Raises InputError where the file is cut or is no safetensors."""
    path = folder / ADAPTER
    with foreign(InputError, f"Reading the adapter {path}"):
        json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        return dict(load_file(path))


def _shift(owners: Any) -> Any:
    """Whose the next token is; nobody's after the last."""
    return np.append(owners[1:], np.int8(0))


def _open(folder: Path, options: TrainOptions, device: torch.device, *, bf16: bool) -> Any:
    told: dict[str, Any] = {"attn_implementation": PACKED, "use_safetensors": True}
    told["dtype"] = torch.bfloat16 if bf16 else torch.float32
    if options.quantise_base == "4bit":
        if device.type != "cuda":
            raise EngineMissing(
                "A base in 4 bits needs a GPU.", next_step='Set quantise_base = "no" under [train].'
            )
        try:
            import bitsandbytes  # noqa: F401
        except ImportError as error:
            raise EngineMissing(
                f"A base in 4 bits needs bitsandbytes, which cannot be loaded: {error}.",
                next_step="Install it with `pip install bitsandbytes`.",
            ) from error
        from transformers import BitsAndBytesConfig

        told["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=told["dtype"],
        )
        told["device_map"] = {"": device}
        return AutoModelForCausalLM.from_pretrained(str(folder), **told)
    return AutoModelForCausalLM.from_pretrained(str(folder), **told).to(device)
