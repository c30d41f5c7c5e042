"""Samplers: the discrete Gaussian, exact and by integer arithmetic alone, and rows drawn by a secret key."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from fractions import Fraction
from hashlib import blake2b

import numpy as np

from dvspark.arguments import is_count, is_number
from dvspark.errors import ConfigError, Problem, written
from dvspark.schemas import Bools, Int64s

RandomBits = Callable[[int], int]

# 2^10 deviations are then within int64: no sample can be outside.
LARGEST_SIGMA = 2.0**52


def discrete_gaussian(sigma: float, size: int, random_bits: RandomBits = secrets.randbits) -> Int64s:
    """Return independent samples of P[z] ∝ exp(-z² / (2 sigma²)) on the integers, (size,) int64.

    ``random_bits(n)`` returns n random bits as an integer. By default they come from the operating system's entropy;
    another source is for tests. The float ``sigma`` is taken as an exact fraction, and no decision is made in floating
    point. So the distribution is exact, and rounding reveals nothing about what the noise hides.
    Cost: about 10 µs a sample, whatever sigma. Raises: ConfigError for sigma not within (0, 2^52], or another size
    than a whole number from 0.
    Source: Canonne, Kamath & Steinke, NeurIPS 2020, arXiv:2004.00010, algorithms 1 to 3.
    """
    problems = []
    if not is_number(sigma) or not 0 < sigma <= LARGEST_SIGMA:
        hint = "take it from dvspark.privacy.gaussian_sigma"
        problems.append(Problem("sigma", "a positive number of at most 2^52", written(sigma), hint))
    if not is_count(size) and not (is_number(size) and size == 0):
        problems.append(Problem("size", "a whole number from 0", written(size), "give how many samples to draw"))
    if problems:
        raise ConfigError(problems)
    variance, denominator = (Fraction(sigma) ** 2).as_integer_ratio()
    scale = math.floor(sigma) + 1
    samples = [_gaussian(variance, denominator, scale, random_bits) for _ in range(int(size))]
    return np.array(samples, dtype=np.int64)


def _gaussian(variance: int, denominator: int, scale: int, random_bits: RandomBits) -> int:
    """Return a discrete Gaussian of that variance / denominator: a discrete Laplace, accepted or drawn again."""
    step = denominator * scale
    whole = 2 * variance * step * scale
    while True:
        candidate = _laplace(scale, random_bits)
        # (|z| - variance / scale)² / (2 variance), as one fraction.
        if _bernoulli_exp((abs(candidate) * step - variance) ** 2, whole, random_bits):
            return candidate


def _laplace(scale: int, random_bits: RandomBits) -> int:
    """Return a sample of P[z] ∝ exp(-|z| / scale) on the integers."""
    while True:
        size = _below(scale, random_bits)
        if not _bernoulli_exp(size, scale, random_bits):
            continue
        while _bernoulli_exp(1, 1, random_bits):
            size += scale
        if not random_bits(1):
            return size
        if size:  # else zero would have two signs
            return -size


def _bernoulli_exp(numerator: int, denominator: int, random_bits: RandomBits) -> bool:
    """Return True with probability exp(-numerator / denominator), for any fraction from 0."""
    while numerator > denominator:
        if not _bernoulli_exp(1, 1, random_bits):
            return False
        numerator -= denominator
    # P[the first k pass] = gamma^k / k!, and an odd first failure has probability exp(-gamma).
    attempt = 1
    while _below(denominator * attempt, random_bits) < numerator:
        attempt += 1
    return attempt % 2 == 1


def _below(bound: int, random_bits: RandomBits) -> int:
    """Return a whole number from 0 to ``bound`` - 1, all equally likely."""
    n_bits = (bound - 1).bit_length()
    while n_bits:
        number = random_bits(n_bits)
        if number < bound:
            return number
    return 0


def sampled_rows(ids: Sequence[int | str], key: bytes, rate: float) -> Bools:
    """Return which rows a secret key draws, each with probability ``rate``, (n,) bool; the same on every host.

    A keyed hash of the id is compared with the rate, so nobody without the key can tell which rows were drawn. Cost: a
    microsecond a row. Raises: ConfigError for a key that is not 1 to 64 bytes, or a rate outside 0 to 1.
    Source: BLAKE2, RFC 7693, as a pseudorandom function.
    """
    problems = _key_problems(key)
    if not is_number(rate) or not 0 <= rate <= 1:
        problems.append(Problem("rate", "a number from 0 to 1", written(rate), "give the share of rows to draw"))
    if problems:
        raise ConfigError(problems)
    limit = int(rate * 2**64)
    # NumPy writes its numbers in another way than Python, and not the same in all its versions.
    plain = (one.item() if isinstance(one, np.generic) else one for one in ids)
    digests = (blake2b(repr(one).encode(), digest_size=8, key=key).digest() for one in plain)
    return np.fromiter((int.from_bytes(digest, "big") < limit for digest in digests), np.bool_, len(ids))


def _key_problems(key: object) -> list[Problem]:
    """Return what is wrong with a key, which itself is no text for a message."""
    got = f"{len(key)} bytes" if isinstance(key, bytes) else type(key).__name__
    if isinstance(key, bytes) and 1 <= len(key) <= blake2b.MAX_KEY_SIZE:
        return []
    return [Problem("key", "1 to 64 secret bytes", got, "take secrets.token_bytes(32)")]
