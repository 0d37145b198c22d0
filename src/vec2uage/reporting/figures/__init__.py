"""The figures of a report, sized for print: distributions, curves, ages, data and the network."""
