"""The shrunk encoder in torch: its blocks, its masked-language-model head, and its Hugging Face form.

Shape legend of names like `x_BSH`: B sequences, S tokens of a sequence, H hidden size, E embedding size, A heads,
D = H / A, I intermediate size, V vocabulary, M scored tokens of a batch.
"""
