"""What namespaces are called: the labels that admins and the settings give them, and the name of each on screens."""

from .labels import LONGEST_LABEL, LONGEST_OWNER, MOST_LABELS, Colour, NamespaceLabel, NamespaceLabels
from .naming import ALL_NAMESPACES, Naming

__all__ = [
    "ALL_NAMESPACES", "LONGEST_LABEL", "LONGEST_OWNER", "MOST_LABELS", "Colour", "NamespaceLabel", "NamespaceLabels",
    "Naming",
]  # fmt: skip
