"""The random numbers that updates are checked and timed with, the same in every program: src/updates.rs has them too."""

import numpy

PARAMETERS, GRADIENTS, OTHER_GRADIENTS = range(3)


def noise(stream, at):
    """Number `at` (an array of places) of a stream: SplitMix64's, to [-1, 1).

    Gradients are cubes of such numbers, so that some are small enough for an epsilon to matter.
    """
    with numpy.errstate(over="ignore"):
        z = (numpy.asarray(at, numpy.uint64) + numpy.uint64(stream << 40)) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    v = (z >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(1 << 23) - numpy.float32(1)
    return v if stream == PARAMETERS else v * v * v
