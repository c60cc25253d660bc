"""Reprise: reproduce papers, with the evidence.

Importing this package is cheap: it loads neither torch nor lightning. The rooms of the house are the
sub-packages; docs/design.md says what lives where and which way imports run.
"""

from __future__ import annotations

__version__ = "0.1.0"
