"""Host: folders, signals and process ends: what the processes of a machine share or leave behind."""

from __future__ import annotations
