class GlobalAvgPool(nn.Module):
    """The mean of each channel: [n, c, ..] to [n, c]."""

    def forward(self, x):
        return x.flatten(2).mean(-1)


class GlobalMaxPool(nn.Module):
    """The maximum of each channel: [n, c, ..] to [n, c]."""

    def forward(self, x):
        return x.flatten(2).amax(-1)


class Permute(nn.Module):
    """The axes after the batch in another order."""

    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(0, *self.axes)


class PositionalEmbedding(nn.Module):
    """Adds a trained row for each position to x [n, t, width]."""

    def __init__(self, max_len, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(max_len, width))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class SinusoidalPositions(nn.Module):
    """Adds sin(t / 10000^(2i/d)) at 2i and its cosine at 2i + 1 to x [n, t, d]."""

    def forward(self, x):
        t, d = x.shape[1:]
        rate = 10000.0 ** (-torch.arange(0, d, 2) / d)
        angle = torch.arange(t)[:, None] * rate
        wave = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :d]
        return x + wave.to(x)


class SelfAttention(nn.MultiheadAttention):
    """Attention of x [n, t, width] to itself, or with `causal` to itself and earlier positions."""

    def __init__(self, width, num_heads, causal=False, dropout=0.0, bias=True):
        super().__init__(width, num_heads, dropout, bias, batch_first=True)
        self.causal = causal

    def forward(self, x):
        t = x.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1) if self.causal else None
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


class RotaryAttention(SelfAttention):
    """Self-attention whose queries and keys are rotated by their position, as in Llama and GPT-NeoX."""

    def rotated(self, q):
        t, d = q.shape[-2:]
        rate = 10000.0 ** (-torch.arange(0, d, 2) / d)
        angle = torch.arange(t)[:, None] * rate
        cos, sin = angle.cos().to(q), angle.sin().to(q)
        a, b = q.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, x):
        n, t, width = x.shape
        parts = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        q, k, v = (part.reshape(n, t, self.num_heads, -1).transpose(1, 2) for part in parts)
        y = nn.functional.scaled_dot_product_attention(
            self.rotated(q),
            self.rotated(k),
            v,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal,
        )
        return self.out_proj(y.transpose(1, 2).reshape(n, t, width))


class GRU(nn.GRU):
    """The state of x [n, t, d] at every position, or at the last one only."""

    def __init__(self, *sizes, return_sequences=True, **options):
        super().__init__(*sizes, batch_first=True, **options)
        self.return_sequences = return_sequences

    def forward(self, x):
        states, _ = super().forward(x)
        return states if self.return_sequences else states[:, -1]


class LSTM(nn.LSTM):
    """The state of x [n, t, d] at every position, or at the last one only."""

    def __init__(self, *sizes, return_sequences=True, **options):
        super().__init__(*sizes, batch_first=True, **options)
        self.return_sequences = return_sequences

    def forward(self, x):
        states, _ = super().forward(x)
        return states if self.return_sequences else states[:, -1]


class Residual(nn.Module):
    """shortcut(x) + layers(x); without a shortcut x + layers(x)."""

    def __init__(self, layers, shortcut=None):
        super().__init__()
        self.layers = layers
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x):
        return self.shortcut(x) + self.layers(x)


class Concat(nn.ModuleList):
    """The outputs of several branches on the same x, one after the other along an axis."""

    def __init__(self, *branches, axis=1):
        super().__init__(branches)
        self.axis = axis

    def forward(self, x):
        return torch.cat([branch(x) for branch in self], self.axis)


class Sum(nn.ModuleList):
    """The sum of the outputs of several branches on the same x."""

    def __init__(self, *branches):
        super().__init__(branches)

    def forward(self, x):
        return sum(branch(x) for branch in self)
