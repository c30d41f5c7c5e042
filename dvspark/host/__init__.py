"""Host: what the processes of a machine share or leave behind: folders nobody else can plant, signals, ends."""

from __future__ import annotations
