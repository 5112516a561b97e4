"""Layer lists of the nets that are trained whole, as a config has them. All read digits, [1, 8, 8]."""

CNN = """
    { conv2d = { out_channels = 6, kernel_size = 3, padding = 1 } },
    "gelu",
    { max_pool2d = 2 },
    { conv2d = { out_channels = 12, kernel_size = [3, 2], padding = "same" } },
    "silu",
    { avg_pool2d = { kernel_size = 3, stride = 2, padding = 1 } },
    "flatten",
    { linear = 10 },
"""

# Two stages, the second at half the size; the shortcut of that one is a convolution.
RESNET = """
    { conv2d = { out_channels = 6, kernel_size = 3, padding = 1, bias = false } },
    "batch_norm",
    "silu",
    { residual = [
        { conv2d = { out_channels = 6, kernel_size = 3, padding = 1, bias = false } },
        "batch_norm",
        "silu",
        { conv2d = { out_channels = 6, kernel_size = 3, padding = 1, bias = false } },
        "batch_norm",
    ] },
    "silu",
    { block = { name = "stage2", layers = [
        { residual = { layers = [
            { conv2d = { out_channels = 10, kernel_size = 3, stride = 2, padding = 1 } },
            { batch_norm = { momentum = 0.3 } },
            "silu",
            { conv2d = { out_channels = 10, kernel_size = 3, padding = 1, bias = false } },
            "batch_norm",
        ], shortcut = [
            { conv2d = { out_channels = 10, kernel_size = 1, stride = 2, bias = false } },
            "batch_norm",
        ] } },
        "silu",
    ] } },
    "global_avg_pool",
    { linear = 10 },
"""

DEPTHWISE = """
    { conv2d = { out_channels = 8, kernel_size = 3, stride = 2, padding = 1 } },
    { group_norm = 2 },
    "gelu",
    { repeat = { times = 2, layers = [
        { conv2d = { out_channels = 8, kernel_size = 3, padding = 1, groups = 8, bias = false } },
        { group_norm = 4 },
        "gelu",
        { conv2d = { out_channels = 8, kernel_size = 1 } },
    ] } },
    "tanh",
    { adaptive_avg_pool2d = [3, 2] },
    "flatten",
    { linear = 10 },
"""

BRANCHES = """
    { parallel = [
        [{ conv2d = { out_channels = 3, kernel_size = 1 } }, "tanh"],
        [{ conv2d = { out_channels = 4, kernel_size = 5, dilation = 2, padding = 4 } }, "tanh"],
        [{ max_pool2d = { kernel_size = 3, stride = 1, padding = 1 } }],
    ] },
    { instance_norm = { affine = true } },
    { parallel = { join = "add", branches = [
        [{ avg_pool2d = 2 }],
        [{ conv2d = { out_channels = 8, kernel_size = 2, stride = 2, bias = false } }],
    ] } },
    "flatten",
    { linear = 10 },
"""

# An encoder to six numbers, and a decoder back to an image, from which the classes are read.
DECODER = """
    { conv2d = { out_channels = 6, kernel_size = 4, stride = 2, padding = 1 } },
    "gelu",
    "flatten",
    { linear = 6 },
    "tanh",
    { linear = 48 },
    { reshape = [3, 4, 4] },
    { conv_transpose2d = { out_channels = 4, kernel_size = 3, stride = 2, padding = 1, output_padding = 1 } },
    "gelu",
    { upsample = { scale_factor = 1.5, mode = "bilinear" } },
    { conv2d = { out_channels = 1, kernel_size = 3 } },
    { upsample = { size = [5, 4], mode = "nearest" } },
    "flatten",
    { linear = 10 },
"""

SIGNAL = """
    { reshape = [1, 64] },
    { conv1d = { out_channels = 5, kernel_size = 7, stride = 3, padding = 2 } },
    "elu",
    { max_pool1d = { kernel_size = 3, stride = 2, ceil_mode = true } },
    { conv_transpose1d = { out_channels = 4, kernel_size = 4, stride = 2 } },
    "silu",
    { avg_pool1d = 3 },
    { permute = [2, 1] },
    { linear = 6 },
    "flatten",
    { linear = 10 },
"""

# A transformer that reads the eight rows of an image.
TRANSFORMER = """
    { reshape = [8, 8] },
    { linear = 12 },
    { positional_embedding = 8 },
    { repeat = { times = 2, layers = [
        { residual = ["layer_norm", { multi_head_attention = { num_heads = 3 } }] },
        { residual = ["layer_norm", { linear = 24 }, "gelu", { linear = 12 }] },
    ] } },
    "layer_norm",
    "flatten",
    { linear = 10 },
"""

CAUSAL = """
    { reshape = [8, 8] },
    { linear = { out_features = 16, bias = false } },
    { residual = [
        "rms_norm",
        { multi_head_attention = { num_heads = 2, causal = true, rotary = true, bias = false } },
    ] },
    { residual = ["rms_norm", { linear = 24 }, "silu", { linear = 16 }] },
    "rms_norm",
    "flatten",
    { linear = 10 },
"""

GRU = """
    { reshape = [8, 8] },
    { gru = { hidden_size = 12, num_layers = 2 } },
    "flatten",
    { linear = 10 },
"""

LSTM = """
    { reshape = [8, 8] },
    { lstm = { hidden_size = 16, return_sequences = false } },
    { linear = 10 },
"""
