"""Methods: what is computed. Each method is one frozen declaration in a file of its own.

`METHODS` has all, by name; `GAMES` those among them that value players by any utility.
"""

from __future__ import annotations

from typing import cast

from dvspark.kernels.formulas.kinds import Parameters
from dvspark.methods.ame import AME
from dvspark.methods.base import Method
from dvspark.methods.chg_shapley import CHG_SHAPLEY
from dvspark.methods.cleanlab_knn_shapley import CLEANLAB_KNN_SHAPLEY
from dvspark.methods.data_oob import DATA_OOB
from dvspark.methods.dp_threshold_knn_shapley import DP_THRESHOLD_KNN_SHAPLEY
from dvspark.methods.dvrl import DVRL
from dvspark.methods.group_testing_shapley import GROUP_TESTING_SHAPLEY
from dvspark.methods.influence import INFLUENCE
from dvspark.methods.knn_acquisition_shapley import KNN_ACQUISITION_SHAPLEY
from dvspark.methods.knn_banzhaf import KNN_BANZHAF
from dvspark.methods.knn_beta import KNN_BETA
from dvspark.methods.knn_dp import KNN_DP
from dvspark.methods.knn_loo import KNN_LOO
from dvspark.methods.knn_regression_shapley import KNN_REGRESSION_SHAPLEY
from dvspark.methods.knn_shapley import KNN_SHAPLEY
from dvspark.methods.lava import LAVA
from dvspark.methods.leave_one_out import LEAVE_ONE_OUT
from dvspark.methods.monte_carlo_banzhaf import MONTE_CARLO_BANZHAF
from dvspark.methods.monte_carlo_beta import MONTE_CARLO_BETA
from dvspark.methods.monte_carlo_shapley import MONTE_CARLO_SHAPLEY
from dvspark.methods.owner_knn_shapley import OWNER_KNN_SHAPLEY
from dvspark.methods.owner_sum_of_points import OWNER_SUM_OF_POINTS
from dvspark.methods.soft_knn_shapley import SOFT_KNN_SHAPLEY
from dvspark.methods.threshold_knn_banzhaf import THRESHOLD_KNN_BANZHAF
from dvspark.methods.threshold_knn_beta import THRESHOLD_KNN_BETA
from dvspark.methods.threshold_knn_loo import THRESHOLD_KNN_LOO
from dvspark.methods.threshold_knn_shapley import THRESHOLD_KNN_SHAPLEY
from dvspark.methods.truncated_knn_shapley import TRUNCATED_KNN_SHAPLEY
from dvspark.methods.weighted_knn_shapley import WEIGHTED_KNN_SHAPLEY

_ALL = (
    KNN_SHAPLEY,
    SOFT_KNN_SHAPLEY,
    KNN_REGRESSION_SHAPLEY,
    WEIGHTED_KNN_SHAPLEY,
    KNN_BANZHAF,
    KNN_BETA,
    THRESHOLD_KNN_SHAPLEY,
    THRESHOLD_KNN_BANZHAF,
    THRESHOLD_KNN_BETA,
    THRESHOLD_KNN_LOO,
    KNN_LOO,
    TRUNCATED_KNN_SHAPLEY,
    CLEANLAB_KNN_SHAPLEY,
    DP_THRESHOLD_KNN_SHAPLEY,
    KNN_DP,
    OWNER_KNN_SHAPLEY,
    OWNER_SUM_OF_POINTS,
    KNN_ACQUISITION_SHAPLEY,
    CHG_SHAPLEY,
    INFLUENCE,
    LAVA,
    DVRL,
)

_ALL_GAMES = (
    MONTE_CARLO_SHAPLEY,
    GROUP_TESTING_SHAPLEY,
    MONTE_CARLO_BANZHAF,
    MONTE_CARLO_BETA,
    LEAVE_ONE_OUT,
    DATA_OOB,
    AME,
)

GAMES = {method.name: method for method in _ALL_GAMES}

# Parameters are for the method alone that resolved them: nobody else looks into them.
METHODS = {method.name: cast("Method[Parameters]", method) for method in (*_ALL, *_ALL_GAMES)}
