"""Evidence, calibration and thresholds: when a near answer may be served."""
