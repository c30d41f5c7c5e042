r"""Kernels: how one chunk of validation points is valued. NumPy in, NumPy out; no Spark, files or clock.

    train rows (id order)      one chunk of validation rows
             \                  /
        distances: float32 keys, tile by tile              O(N D) a validation point
                   |
        ranking:   every train row in order of (distance, train row)      O(N log N)
                   |      (by exact keys where float32 ones leave doubt that matters: near_order)
        rank_values: a value for each rank from two weight tables         O(N)
                   |      (row_values does both at once; so does gap_values, which sorts
                   |      the matches alone, where they are few; or, above 150,000
                   |      rows, bins: all but the nearest rows valued by bin, O(N))
                   |
        partial:   Σ value, Σ value², n, Σ U(N), Σ U(∅)

A method of the `ranking` kind is two tables over ranks r = 1..n (`rank_values.RankWeights`), one file each with a class
whose fields are the method's parameters: `knn_shapley`, `soft_knn_shapley`, `knn_banzhaf`, `knn_beta`. With a_r = 1
where the row at rank r matches the validation label,

    value_r = a_r own_r - Σ_{j>r} a_j suffix_j + affine terms of a_r and A = Σ a_j.

Five other kinds need something else; games (`dvspark.games`) have no kernels:

    ordered:   all rows in order with targets, weights or owners (`ordered.OrderedPoint`): `knn_regression_shapley`,
               `weighted_knn_shapley`, `owner_knn_shapley`, `owner_sum_of_points`,
               `knn_acquisition_shapley`
    nearest:   the m nearest rows in order (`nearest`), what they get (`near_values.NearValues`): `knn_loo`,
               `truncated_knn_shapley`, `cleanlab_knn_shapley`
    radius:    which rows lie within a radius (`radius`), and two counts of them: `threshold_knn_shapley`,
               `threshold_knn_banzhaf`, `threshold_knn_beta`, `threshold_knn_loo`, `dp_threshold_knn_shapley`
    sums:      gradients in a softmax head (`softmax_head`), added up (`head_pass`), maybe in each epoch of its training
               (`course`): `chg_shapley`, which values given gradients too, added up by `exact_sums`
    whole:     both tables at once (`both_tables`): `influence`, `lava`, `dvrl`

`key_bounds` has proven bounds on the rounding of float32 keys, so `nearest` and `radius` are exact at any precision.

Signs: N train rows, D features, n rows that play (N, or N - 1 under self-validation), k neighbors. A `key` is a number
ordered like the distance: squared Euclidean distance, 1 - cos, or minus the inner product.

Ties: rows at equal distance rank by train row, that is by id. With `ties="average"`, they get the mean over all orders
of the tied rows. Rows whose order is in doubt get keys from float64 differences, so duplicates tie exactly. Other
duplicates get the key of their first copy.

Certificate: how far a value may be from that of the exact order. Keys are taken to be within ten measured standard
deviations of exact keys (`near_order`). `doubt_loops` lists the rows whose order this leaves in doubt. The order of
these rows changes a value by at most the tolerance, or they get exact keys.

The loops over every row of every point are in `loops`: `rank_loops`, `doubt_loops` and `bin_loops` in NumPy, and the
same in Numba in the modules `compiled_…` (`compiling` says how they are compiled and kept). `compiled_gaps` and
`compiled_gap_steps` exist in Numba only.

Rooms: `distances`, `ranking` (kinds `ranking` and `ordered`), `binning`, `nearest`, `radius`, `gradients` (kinds `sums`
and `whole`), `blocks` (points put together from what each block of training rows tells), `formulas` (a file a method,
what several share, and `kinds`: what a kind asks of a method's formulas), `loops`.

Memory beyond the train arrays: `memory.scratch_bytes`, a formula that a test checks.
"""
