"""The format of the adapters library: bottlenecks, language adapters, ReFT and its own LoRA; PEFT's is one level up."""
