"""How sure a comparison of runs is: intervals, tests, orders and expectations, as functions of arrays."""
