"""Games: what players are worth by any utility, estimated from coalitions that are drawn at random.

    utility(players) -> number                       `utility`: called for a coalition, checked, counted
    seed, number of a range -> coalitions            `draws`: the same on every machine
    coalitions of a range -> `Totals`                `estimators`: one file an idea
    Totals of ranges, added in order -> Totals       `playing`: until a rule says that it is enough
    Totals -> values, standard errors, bound         `estimators`, `bounds`

A **range** is a fixed number of draws and has a generator of random numbers of its own. So the result does not depend
on who plays which range, or when: ranges may be spread over tasks, and played again after a failure.
"""

from __future__ import annotations
