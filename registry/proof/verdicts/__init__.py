"""The verbs of verdicts: request one, claim it, record its report; how an adapter is proven is not here.

The row is the job. Every change of state is one conditional UPDATE whose count is looked at, leases run on the
database's clock, and a claim is a token: messages may be lost, doubled or late, and workers may die or come back.
"""
