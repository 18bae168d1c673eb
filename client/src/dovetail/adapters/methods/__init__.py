"""All that is known of each method of PEFT, a row for each; what a row is made of is in `kind`."""

from dovetail.adapters.methods import lora, products, prompts, scaling, shared, sparse

KINDS = (*lora.ROWS, *products.ROWS, *shared.ROWS, *sparse.ROWS, *scaling.ROWS, *prompts.ROWS)
