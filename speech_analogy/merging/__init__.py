"""Merging of checkpoints and task vectors: named tensors in, named tensors out, and nothing of speech.

From the ground up; a room imports only those above it in this list:

tensors       TensorSource: named tensors read one at a time; Weights
scope         Scope, ScopedScale, Setting: encoder, decoder, layer ranges, name patterns, depth
arithmetic    exact steps on flat pieces; Scale: λ, one number or one per tensor
io            open_checkpoint (safetensors, shards, folders, `.pt`), fingerprint, write_model_folder, provenance
methods       get_method: a MergeMethod by name (entry points `speech_analogy.merge_methods`), or SPARSIFIER+CONSENSUS;
              gather_fisher, gather_grams: what Fisher-weighted averages and RegMean need
vectors       TaskVector: between, + - * /, apply, norms, cosine, sign_conflict, save, load; compress; compare;
              read_lora, combine_adapters: PEFT folders as vectors
engine        MergePlan, merge_tensors, write_merge, merge_vectors; merge: a file in mergekit's shape
analogy       analogy, analogy_tensors, shift (a sweep over λ in memory)
verbs         the verbs of `speech-analogy vector` and `merge`, from paths to a result
"""
