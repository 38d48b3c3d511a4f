"""Merging of checkpoints and task vectors: named tensors in, named tensors out, and nothing of speech.

vectors       TaskVector: between, + - * /, apply, norms, cosine, sign_conflict, save, load
combine       analogy, analogy_tensors, shift (a sweep over λ in memory)
recipe        merge, make_plan: files in mergekit's shape
merge         merge_tensors, write_merge, merge_vectors: a plan of `merger`, streamed
methods       get_method, register: the methods by name, or SPARSIFIER+CONSENSUS
scope         Scope, ScopedScale: encoder, decoder, layer ranges, name patterns
statistics    gather_fisher, gather_grams: what Fisher-weighted averages and RegMean need
lora          read_lora, combine_adapters: PEFT folders as vectors
lorahub       find_weights: weights of adapters without gradients
compress      compress: sparse, low-rank and quantised vectors
compare       compare: cosines, sign conflicts, where the norms lie
checkpoints   open_checkpoint: safetensors, shards, folders, `.pt`, lazily
fingerprint   fingerprint: which weights these are
"""
