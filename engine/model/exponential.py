"""The exponential function, the slowest of a step's element-wise operations on a CPU."""

import math

from engine.backend import is_cpu, mx


def exp(x: mx.array) -> mx.array:
    """Return e^x, on a CPU as 2^(x log2 e): MLX 0.32.4's `exp` takes 16 ns a number there, `power` 7.

    The product is rounded in float32, so that the result is as exact as x is: to |x| 1.4 units in the
    last place. What is far below 1 beside other summands, as in a softmax, does not show that.
    """
    return mx.power(2.0, x * math.log2(math.e)) if is_cpu() else mx.exp(x)
