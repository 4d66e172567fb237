"""What this machine is and whether it can train. Importing it never imports MLX."""

from engine.hardware.probe import ORDER, iter_checks, probe
from engine.hardware.report import Accelerator, Check, CheckStatus, HardwareReport

__all__ = ["ORDER", "Accelerator", "Check", "CheckStatus", "HardwareReport", "iter_checks", "probe"]
