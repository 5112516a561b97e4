# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._names import Entry

__all__ = [
    "flatten",
    "reshape",
    "permute",
    "linear",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "max_pool1d",
    "max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "global_avg_pool",
    "global_max_pool",
    "upsample",
    "batch_norm",
    "layer_norm",
    "rms_norm",
    "group_norm",
    "instance_norm",
    "dropout",
    "dropout2d",
    "embedding",
    "positional_embedding",
    "multi_head_attention",
    "gru",
    "lstm",
    "relu",
    "leaky_relu",
    "prelu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "tanh",
    "sigmoid",
    "softmax",
    "log_softmax",
    "residual",
    "parallel",
    "repeat",
    "block",
]

def flatten(start_axis: int = 1) -> Entry:
    """Joins the axes from `start_axis` on into one."""

def reshape(shape: Any) -> Entry:
    """Gives the axes after the batch another shape; one extent may be -1."""

def permute(axes: Any) -> Entry:
    """Puts the axes after the batch in another order."""

def linear(out_features: int, *, bias: bool = True) -> Entry:
    """A dense layer over the last axis: x·Wᵀ + b."""

def conv1d(out_channels: int, kernel_size: int, *, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1, bias: bool = True) -> Entry:
    """A convolution along one axis of [batch, channels, length]."""

def conv2d(out_channels: int, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True) -> Entry:
    """A convolution along two axes of [batch, channels, height, width]."""

def conv_transpose1d(out_channels: int, kernel_size: int, *, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1, groups: int = 1, bias: bool = True) -> Entry:
    """The transpose of `conv1d`, which lengthens its input by the stride."""

def conv_transpose2d(out_channels: int, kernel_size: Any, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True) -> Entry:
    """The transpose of `conv2d`, which enlarges its input by the stride."""

def max_pool1d(kernel_size: int, *, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False) -> Entry:
    """The maximum of each window along one axis."""

def max_pool2d(kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False) -> Entry:
    """The maximum of each window along two axes."""

def avg_pool1d(kernel_size: int, *, stride: int | None = None, padding: int = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> Entry:
    """The mean of each window along one axis."""

def avg_pool2d(kernel_size: Any, *, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> Entry:
    """The mean of each window along two axes."""

def adaptive_avg_pool2d(output_size: Any) -> Entry:
    """Means over windows that give an output of this size."""

def global_avg_pool() -> Entry:
    """The mean of each channel."""

def global_max_pool() -> Entry:
    """The maximum of each channel."""

def upsample(scale_factor: Any, *, size: Any = None, mode: Literal['nearest', 'bilinear'] = 'nearest', align_corners: bool = False) -> Entry:
    """Enlarges images by nearest neighbours or bilinearly."""

def batch_norm(*, eps: float = 1e-05, momentum: Any = 0.1, affine: bool = True, track_running_stats: bool = True) -> Entry:
    """Normalises each channel over the batch, and in evaluation by running statistics."""

def layer_norm(axes: int = 1, *, eps: float = 1e-05, elementwise_affine: bool = True, bias: bool = True) -> Entry:
    """Normalises each sample over its last axes."""

def rms_norm(axes: int = 1, *, eps: float | None = None, elementwise_affine: bool = True) -> Entry:
    """Divides by the root mean square over the last axes."""

def group_norm(num_groups: int, *, eps: float = 1e-05, affine: bool = True) -> Entry:
    """Normalises each sample over groups of channels."""

def instance_norm(*, eps: float = 1e-05, affine: bool = False) -> Entry:
    """Normalises each channel of each sample."""

def dropout(p: float = 0.5) -> Entry:
    """Zeros elements at random in training, with probability `p`."""

def dropout2d(p: float = 0.5) -> Entry:
    """Zeros whole channels at random in training, with probability `p`."""

def embedding(num_embeddings: int, embedding_dim: int, *, padding_idx: int | None = None) -> Entry:
    """A trainable row for each index."""

def positional_embedding(max_len: int, *, kind: Literal['learned', 'sinusoidal'] = 'learned') -> Entry:
    """Adds a trainable or sinusoidal row for each position of a sequence."""

def multi_head_attention(num_heads: int, *, causal: bool = False, bias: bool = True, dropout: float = 0.0, rotary: bool = False) -> Entry:
    """Self-attention over [batch, positions, features]."""

def gru(hidden_size: int, *, num_layers: int = 1, bias: bool = True, return_sequences: bool = True) -> Entry:
    """Gated recurrent units over [batch, positions, features]."""

def lstm(hidden_size: int, *, num_layers: int = 1, bias: bool = True, return_sequences: bool = True) -> Entry:
    """Long short-term memory over [batch, positions, features]."""

def relu() -> Entry:
    """max(x, 0)"""

def leaky_relu(negative_slope: float = 0.009999999776482582) -> Entry:
    """x, or negative_slope·x below 0."""

def prelu(num_parameters: int = 1, *, init: float = 0.25) -> Entry:
    """x, or a trainable weight times x below 0; one weight for all channels, or one for each."""

def elu(alpha: float = 1.0) -> Entry:
    """x, or alpha·(eˣ − 1) below 0."""

def gelu(approximate: Literal['none', 'tanh'] = 'none') -> Entry:
    """x·Φ(x), Φ the distribution function of N(0, 1)."""

def silu() -> Entry:
    """x·sigmoid(x)"""

def softplus(beta: float = 1.0, *, threshold: float = 20.0) -> Entry:
    """log(1 + e^(beta·x))/beta"""

def tanh() -> Entry:
    """tanh x"""

def sigmoid() -> Entry:
    """1/(1 + e⁻ˣ)"""

def softmax() -> Entry:
    """Softmax over the last axis."""

def log_softmax() -> Entry:
    """The logarithm of softmax over the last axis."""

def residual(layers: Any, *, shortcut: Any = None) -> Entry:
    """Adds the layers' output to x, or to the output of a shortcut."""

def parallel(branches: Any, *, join: Literal['concat', 'add'] = 'concat', axis: int = 1) -> Entry:
    """Runs x through several lists of layers and joins their outputs."""

def repeat(times: int, layers: Any) -> Entry:
    """Copies of a list of layers, each with parameters of its own."""

def block(name: str, layers: Any, *, checkpoint: bool = False) -> Entry:
    """A list of layers under a name, which the backward pass may recompute."""
