"""The Python half of the comparison with TRL: runs DPOTrainer, or KTOTrainer where the request names "kto", with a PEFT LoRA adapter on what main.ts wrote.

    python trl_dpo.py compare <folder>   trains the same steps, writes <folder>/trl.json
    python trl_dpo.py measure <folder>   times steps, prints one JSON line

It reads the model and the adapters from GGUF through the gguf package, whose reader is not ours. It needs no network.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")

import gguf
import numpy as np
import peft
import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models
from torch.utils.data import SequentialSampler

PAIRS_SCORED = 4
# Names of the linear layers: llama.cpp's, and transformers' below model.layers.<i>.
LAYERS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def read_tensors(path):
    """Every tensor of a GGUF file as float32, [rows, row length]."""
    return {t.name: np.array(t.data, dtype=np.float32) for t in gguf.GGUFReader(path).tensors}


def unpermute(rows, heads):
    """llama.cpp turns neighbouring rows of q and k in RoPE, transformers turns rows half a head apart."""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def heads_of(name, shape):
    return {"attn_q": shape["nHead"], "attn_k": shape["nHeadKv"]}.get(name)


def export_safetensors(folder, shape):
    """The GGUF's weights as transformers keeps them."""
    state = {}
    for name, values in read_tensors(folder / "model.gguf").items():
        parts = name.split(".")
        if name in TOP:
            state[TOP[name]] = values
        elif parts[2] in NORMS:
            state[f"model.layers.{parts[1]}.{NORMS[parts[2]]}.weight"] = values
        else:
            heads = heads_of(parts[2], shape)
            values = values if heads is None else unpermute(values, heads)
            state[f"model.layers.{parts[1]}.{LAYERS[parts[2]]}.weight"] = values
    config = transformers.LlamaConfig(
        vocab_size=shape["nVocab"],
        hidden_size=shape["nEmbd"],
        intermediate_size=shape["nFf"],
        num_hidden_layers=shape["nLayer"],
        num_attention_heads=shape["nHead"],
        num_key_value_heads=shape["nHeadKv"],
        head_dim=shape["headDim"],
        rms_norm_eps=shape["rmsEps"],
        rope_parameters={"rope_type": "default", "rope_theta": shape["ropeTheta"]},
        max_position_embeddings=shape["contextTokens"],
        tie_word_embeddings=False,
        eos_token_id=2,
        bos_token_id=1,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, assign=True, strict=True)
    model.save_pretrained(folder / "hf", safe_serialization=True)


def read_adapter(path, shape):
    """A GGUF adapter's matrices by PEFT's names."""
    matrices = {}
    for name, values in read_tensors(path).items():
        _, layer, linear, _, kind = name.split(".")
        heads = heads_of(linear, shape)
        if kind == "lora_b" and heads is not None:
            values = unpermute(values, heads)
        letter = "A" if kind == "lora_a" else "B"
        key = f"base_model.model.model.layers.{layer}.{LAYERS[linear]}.lora_{letter}.default.weight"
        matrices[key] = values
    return matrices


class InOrder:
    """A trainer on token ids that are there already, in the order in which they stand."""

    losses = ()

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset

    def _get_train_sampler(self, *args, **kwargs):
        return SequentialSampler(self.train_dataset)

    def compute_loss(self, *args, **kwargs):
        result = super().compute_loss(*args, **kwargs)
        loss = result[0] if isinstance(result, tuple) else result
        self.losses = (*self.losses, float(loss.detach()))
        return result


class OrderedDpo(InOrder, trl.DPOTrainer):
    pass


class OrderedKto(InOrder, trl.KTOTrainer):
    pass


class StepClock(transformers.TrainerCallback):
    """Seconds of each optimiser step, and of the processors in it: loading the batch is not in it."""

    def __init__(self):
        self.seconds = []
        self.cpu_seconds = []

    def on_step_begin(self, *args, **kwargs):
        self.start = time.perf_counter(), time.process_time()

    def on_step_end(self, *args, **kwargs):
        self.seconds.append(time.perf_counter() - self.start[0])
        self.cpu_seconds.append(time.process_time() - self.start[1])


def make_trainer(folder, request, clock, **overrides):
    shape, options, lora = request["shape"], request["options"], request["lora"]
    torch.set_num_threads(request["threads"])
    # The weights go from the GGUF to safetensors, and are loaded from there as anyone would.
    if not (folder / "hf").exists():
        export_safetensors(folder, shape)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32)
    adapter = peft.LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=0.0,
        target_modules=[name.split(".")[1] for name in LAYERS.values()],
        task_type="CAUSAL_LM",
    )
    vocabulary = {f"t{i}": i for i in range(shape["nVocab"])}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="t0")),
        unk_token="t0",
        bos_token="t1",
        eos_token="t2",
        pad_token="t2",
    )
    pairs = [pair for step in request["steps"] for pair in step]
    config = {
        "output_dir": str(folder / "trl"),
        "per_device_train_batch_size": len(request["steps"][0]),
        "gradient_accumulation_steps": 1,
        "max_steps": len(request["steps"]),
        "learning_rate": options["learningRate"],
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0,
        "beta": options["beta"],
        "adam_beta1": options["beta1"],
        "adam_beta2": options["beta2"],
        "adam_epsilon": options["epsilon"],
        "weight_decay": 0.0,
        "max_grad_norm": options["maxGradientNorm"],
        "optim": "adamw_torch",
        "max_length": None,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "dataset_num_proc": None,
        "seed": 1,
    }
    if "kto" in request:
        trainer_class, config_class = OrderedKto, trl.KTOConfig
        weights = request["kto"]
        config["desirable_weight"] = weights["desirableWeight"]
        config["undesirable_weight"] = weights["undesirableWeight"]
    else:
        trainer_class, config_class = OrderedDpo, trl.DPOConfig
        config["loss_type"] = options["loss"]
        config["label_smoothing"] = options["labelSmoothing"]
        config["ld_alpha"] = None if options["ldAlpha"] == 1 else options["ldAlpha"]
    trainer = trainer_class(
        model=model,
        args=config_class(**{**config, **overrides}),
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        callbacks=[clock],
        peft_config=adapter,
    )
    # B is zero at first on both sides, so only A has to be the same.
    initial = read_adapter(folder / "initial.gguf", shape)
    parameters = lora_parameters(trainer.model)
    assert parameters.keys() == initial.keys(), parameters.keys() ^ initial.keys()
    with torch.no_grad():
        for name, values in initial.items():
            parameters[name].copy_(torch.from_numpy(values))
    return trainer


def lora_parameters(model):
    return {name: p for name, p in model.named_parameters() if ".lora_" in name}


@torch.no_grad()
def completion_logps(model, pairs):
    """log p of each chosen and rejected completion, by transformers alone."""
    model.eval()
    found = []
    for pair in pairs:
        for completion in (pair["chosen_ids"], pair["rejected_ids"]):
            ids = torch.tensor([pair["prompt_ids"] + completion])
            logps = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
            tokens = logps.gather(1, ids[0, 1:, None])[:, 0]
            found.append(float(tokens[len(pair["prompt_ids"]) - 1 :].sum()))
    return found


def compare(folder, request):
    trainer = make_trainer(folder, request, StepClock())
    trainer.train()
    shape, lora = request["shape"], request["lora"]
    ours = read_adapter(folder / "final.gguf", shape)
    theirs = {n: p.detach().numpy() for n, p in lora_parameters(trainer.model).items()}
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    scale = lora["alpha"] / lora["rank"]
    deltas = []
    for name in sorted(ours):
        if "lora_A" in name:
            b = name.replace("lora_A", "lora_B")
            deltas.append((scale * ours[b] @ ours[name], scale * theirs[b] @ theirs[name]))
    flat = [np.concatenate([pair[side].ravel() for pair in deltas]).astype(np.float64) for side in (0, 1)]
    worst = max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in deltas)
    result = {
        **({} if "kto" in request else exchanged_logps(folder, request, trainer.model)),
        "losses": trainer.losses,
        "adapter": {
            "relativeDifference": float(np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1])),
            "worstLayer": float(worst),
            "cosine": float(flat[0] @ flat[1] / np.linalg.norm(flat[0]) / np.linalg.norm(flat[1])),
        },
        "versions": versions(),
    }
    (folder / "trl.json").write_text(json.dumps(result))


def exchanged_logps(folder, request, trained):
    """Both ways of carrying an adapter over: ours as PEFT reads it, and PEFT's as we read it."""
    trained.save_pretrained(folder / "trl-adapter")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder / "hf", dtype=torch.float32)
    exported = peft.PeftModel.from_pretrained(base, folder / "exported")
    pairs = [pair for step in request["steps"] for pair in step][:PAIRS_SCORED]
    return {
        "exportedLogps": completion_logps(exported, pairs),
        "trainedLogps": completion_logps(trained, pairs),
    }


def versions():
    modules = {"torch": torch, "trl": trl, "peft": peft, "transformers": transformers}
    return {"python": sys.version.split()[0], **{n: m.__version__ for n, m in modules.items()}}


def measure(folder, request, precompute, checkpointing):
    clock = StepClock()
    trainer = make_trainer(
        folder,
        request,
        clock,
        precompute_ref_log_probs=precompute,
        gradient_checkpointing=checkpointing,
    )
    trainer.train()
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    measured = {"seconds": clock.seconds, "cpuSeconds": clock.cpu_seconds, "peakMegabytes": peak / 1024}
    print(json.dumps(measured))


if __name__ == "__main__":
    command, path, *flags = sys.argv[1:]
    request = json.loads((Path(path) / "request.json").read_text())
    if command == "compare":
        compare(Path(path), request)
    else:
        measure(Path(path), request, "precompute" in flags, "checkpointing" in flags)
