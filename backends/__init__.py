"""Language models and reward models: how to answer many requests at once. Knows ppl only."""
