"""The version of VoxForge, as its documents, its `User-Agent` and `voxforge --version` say it."""

VERSION = "0.1.0"
