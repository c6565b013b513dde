"""A server that answers as vLLM does, from a tiny model in this process: one full forward pass per token."""

import json

import httpx
import numpy as np
import torch


class FakeServer:
    """`transport` for an httpx client. `bodies` keeps what was asked; `broken` answers come before any right one."""

    def __init__(self, lm, name="tiny", processed=False, broken=()):
        self.lm, self.name, self.processed, self.broken = lm, name, processed, list(broken)
        self.bodies = []
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request):
        if request.url.path.endswith("/models"):
            return httpx.Response(200, json={"data": [{"id": self.name, "max_model_len": 96}]})
        if self.broken:
            return self.broken.pop(0)
        body = json.loads(request.content)
        self.bodies.append(body)
        assert body["model"] == self.name and request.url.path.endswith("/completions")
        choice, generated = self.score(body) if "prompt_logprobs" in body else self.draw(body)
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": generated}
        return httpx.Response(200, json={"choices": [choice], "usage": usage})

    def log_probs(self, ids, temperature=1.0):
        with torch.inference_mode():
            logits = self.lm.net(torch.tensor([ids])).logits[0].double()
        return (logits / temperature).log_softmax(-1).numpy()

    def score(self, body):
        ids = body["prompt"]
        table = self.log_probs(ids)
        places = [None] + [{str(t): {"logprob": table[i, t], "rank": 1}} for i, t in enumerate(ids[1:])]
        return {"text": "", "finish_reason": "length", "prompt_logprobs": places}, 1

    def draw(self, body):
        rng = np.random.default_rng(body["seed"])
        ids, tokens, log_probs = list(body["prompt"]), [], []
        while len(tokens) < body["max_tokens"]:
            warped = self.log_probs(ids, body["temperature"])[-1]
            token = int(rng.choice(len(warped), p=np.exp(warped) / np.exp(warped).sum()))
            shown = warped if self.processed else self.log_probs(ids)[-1]
            tokens.append(token)
            ids.append(token)
            log_probs.append(float(shown[token]))
            text = self.lm.decode([t for t in tokens if t not in self.lm.tokenizer.ends])
            if token in self.lm.tokenizer.ends or any(stop in text for stop in body["stop"]):
                break
        spelled = [f"token_id:{t}" for t in tokens]
        return {
            "text": text,
            "finish_reason": "stop",
            "logprobs": {"tokens": spelled, "token_logprobs": log_probs},
        }, len(tokens)
