"""Losses that TRL keeps under experimental, by its own methods, of log-probabilities from stdin; losses and gradients to stdout.

ORPO's imitation term is this project's own, of the completion alone: TRL takes it over prompt and completion.
"""

import json
import sys
from types import SimpleNamespace

import torch
from trl.experimental.cpo import CPOTrainer
from trl.experimental.orpo import ORPOTrainer

given = json.load(sys.stdin)
tokens = torch.tensor(given["tokens"], dtype=torch.float64)
accelerator = SimpleNamespace(device="cpu")


def answer(loss_of):
    sums = torch.tensor(given["sums"], dtype=torch.float64, requires_grad=True)
    chosen, rejected = (sums / tokens).unbind(1)
    losses = loss_of(chosen, rejected)
    losses.sum().backward()
    return {"losses": losses.tolist(), "gradients": sums.grad.tolist()}


def orpo(chosen, rejected):
    trainer = SimpleNamespace(beta=given["beta"], accelerator=accelerator)
    return -chosen - ORPOTrainer.odds_ratio_loss(trainer, chosen, rejected)[0]


def simpo(chosen, rejected):
    settings = {"loss_type": "simpo", "beta": given["beta"], "simpo_gamma": given["gamma"]}
    trainer = SimpleNamespace(alpha=0.0, label_smoothing=0.0, accelerator=accelerator, **settings)
    return CPOTrainer.cpo_loss(trainer, chosen, rejected)[0]


print(json.dumps({"orpo": answer(orpo), "simpo": answer(simpo)}))
