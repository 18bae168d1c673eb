"""The methods of PEFT, one row for each that holds all that is known of it; what a row is made of is in `kind`."""

from dovetail.adapters.methods import lora, not_run, products, prompts, scaling, shared, sparse

KINDS = (*lora.ROWS, *products.ROWS, *shared.ROWS, *sparse.ROWS, *scaling.ROWS, *prompts.ROWS)
NOT_RUN = {row.peft_type: row for row in not_run.ROWS}
# The first release of PEFT that has a method; "" for 0.5 and before.
SINCE = {row.peft_type: row.since for row in (*KINDS, *not_run.ROWS)}
