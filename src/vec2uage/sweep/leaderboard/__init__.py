"""The leaderboard: models compared on many splits, each with what validation chooses of its options."""
