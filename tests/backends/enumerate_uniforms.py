"""Runs a function of uniforms along every branch that its comparisons `u < c` can take."""


class Uniform:
    """An unknown number in [low, high); comparing it splits the interval and asks the walk which half to take."""

    def __init__(self, walk):
        self.walk, self.low, self.high = walk, 0.0, 1.0

    def __lt__(self, bound):
        if bound <= self.low:
            return False
        if bound >= self.high:
            return True
        share = (bound - self.low) / (self.high - self.low)
        below = self.walk.take(share)
        self.low, self.high = (self.low, bound) if below else (bound, self.high)
        return below


class Walk:
    def __init__(self, script):
        self.script, self.taken, self.probability = script, [], 1.0

    def take(self, share):
        choice = self.script[len(self.taken)] if len(self.taken) < len(self.script) else True
        self.taken.append(choice)
        self.probability *= share if choice else 1.0 - share
        return choice

    def random(self, n=None):
        return Uniform(self) if n is None else [Uniform(self) for _ in range(n)]


def branches(run):
    """Every (probability, run(rng)) of a function that draws only by `rng.random`."""
    scripts = [[]]
    while scripts:
        script = scripts.pop()
        walk = Walk(script)
        result = run(walk)
        yield walk.probability, result
        scripts += [[*walk.taken[:i], False] for i in range(len(script), len(walk.taken))]
