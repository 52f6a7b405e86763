import torch.nn as nn
class Net(nn.Module):
	def __init__(self, n = 3):
		super().__init__(); self.a = nn.Linear(n, n); self.b = \
			nn.Linear(n,
		n * 2)
		if n: self.c = nn.Linear(1, 1)
		else: self.d = nn.Linear(1, 1)
		# a comment
		self.é = nn.Linear(1, 2, bias=False)
